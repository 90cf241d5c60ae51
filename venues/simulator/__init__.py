"""An exchange on loopback that speaks Binance's own protocol: spot, USD-M and archive."""
