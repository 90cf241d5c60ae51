"""Binance spot and USD-M futures: archives, REST, exchange rules."""
