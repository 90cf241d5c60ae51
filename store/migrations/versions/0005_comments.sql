-- Comments alone: the columns that assets show and that had no word of their own yet.

COMMENT ON COLUMN market.candles.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN market.candles.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN market.candles.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN market.candles.open IS 'First price';
COMMENT ON COLUMN market.candles.high IS 'Highest price';
COMMENT ON COLUMN market.candles.low IS 'Lowest price';
COMMENT ON COLUMN market.candles.close IS 'Last price';
COMMENT ON COLUMN market.candles.trades IS 'Number of trades';

COMMENT ON COLUMN market.candle_gaps.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN market.candle_gaps.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN market.candle_gaps.tf IS 'Timeframe, e.g. 15m';

COMMENT ON COLUMN market.archive_files.url IS 'Where the file lies';

COMMENT ON COLUMN market.exchange_rules.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN market.exchange_rules.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN market.exchange_rules.seen_at IS 'When the exchange first showed them';

COMMENT ON COLUMN market.funding_rates.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN market.funding_rates.symbol IS 'Symbol as the venue writes it';

COMMENT ON COLUMN market.calendar_events.title IS 'What happens, in the words of its source';

COMMENT ON COLUMN analysis.indicators.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.indicators.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.indicators.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.indicators.ema50 IS 'Exponential mean of 50 closes';
COMMENT ON COLUMN analysis.indicators.ema200 IS 'Exponential mean of 200 closes';
COMMENT ON COLUMN analysis.indicators.bb_upper IS 'bb_mid + two population standard deviations';
COMMENT ON COLUMN analysis.indicators.bb_lower IS 'bb_mid - two population standard deviations';

COMMENT ON COLUMN analysis.regimes.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.regimes.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.regimes.tf IS 'Timeframe, e.g. 15m';

COMMENT ON COLUMN analysis.swings.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.swings.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.swings.tf IS 'Timeframe, e.g. 15m';

COMMENT ON COLUMN analysis.smc_events.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.smc_events.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.smc_events.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.smc_events.ts IS 'Close boundary of the bar that broke it';

COMMENT ON COLUMN analysis.liquidity_events.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.liquidity_events.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.liquidity_events.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.liquidity_events.ts IS 'When it became known';

COMMENT ON COLUMN analysis.zone_events.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.zone_events.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.zone_events.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.zone_events.ts IS 'Close boundary of the bar at which it happened';

COMMENT ON COLUMN analysis.zones.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.zones.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.zones.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.zones.price_lo IS 'Lower edge';
COMMENT ON COLUMN analysis.zones.price_hi IS 'Upper edge';

COMMENT ON COLUMN analysis.inversions.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.inversions.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.inversions.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.inversions.price_lo IS 'Lower edge';
COMMENT ON COLUMN analysis.inversions.price_hi IS 'Upper edge';

COMMENT ON COLUMN analysis.signals_raw.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN analysis.signals_raw.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN analysis.signals_raw.tf IS 'Timeframe, e.g. 15m';
COMMENT ON COLUMN analysis.signals_raw.ts IS 'Close boundary of its bar: when it became known';
COMMENT ON COLUMN analysis.signals_raw.side_hint IS 'LONG or SHORT';
COMMENT ON COLUMN analysis.signals_raw.zone_created_ts IS 'When that zone became known; null = no zone';
