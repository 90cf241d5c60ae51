-- ts = the instant the row became known: the close boundary (open_time + tf) of its bar.

CREATE SCHEMA analysis;
COMMENT ON SCHEMA analysis IS 'What the engine makes of candles; one engine version and parameter set at a time';

CREATE TABLE analysis.engines (
    params_hash    text NOT NULL,
    engine_version integer NOT NULL,
    params         jsonb NOT NULL,
    live_since     timestamptz NOT NULL,
    PRIMARY KEY (params_hash, engine_version)
);
COMMENT ON TABLE analysis.engines IS 'One row per engine that ever filled this schema; the one with the latest live_since owns it now';
COMMENT ON COLUMN analysis.engines.params_hash IS 'Fingerprint of the parameters';
COMMENT ON COLUMN analysis.engines.engine_version IS 'Raised only when the engine''s output changes';
COMMENT ON COLUMN analysis.engines.live_since IS 'When it last took the schema over';

CREATE TABLE analysis.indicators (
    venue       text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    tf          text COLLATE "C" NOT NULL,
    ts          timestamptz NOT NULL,
    ema20       double precision,
    ema50       double precision,
    ema200      double precision,
    rsi14       double precision,
    macd        double precision,
    macd_signal double precision,
    macd_hist   double precision,
    atr14       double precision,
    adx14       double precision,
    bb_mid      double precision,
    bb_upper    double precision,
    bb_lower    double precision,
    vwap        double precision,
    vwma20      double precision,
    natr        double precision,
    natr_rank   double precision,
    bbw_rank    double precision,
    PRIMARY KEY (venue, symbol, tf, ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d'))
);
CREATE INDEX indicators_symbol_tf_time ON analysis.indicators (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.indicators IS 'One row per closed bar; null = not defined yet (warm-up)';
COMMENT ON COLUMN analysis.indicators.ts IS 'Close boundary of the bar: open_time + tf';
COMMENT ON COLUMN analysis.indicators.ema20 IS 'Exponential mean of 20 closes; ema50 and ema200 likewise';
COMMENT ON COLUMN analysis.indicators.rsi14 IS 'Relative strength index, 0 to 100';
COMMENT ON COLUMN analysis.indicators.macd IS 'EMA12 - EMA26 of close';
COMMENT ON COLUMN analysis.indicators.macd_signal IS 'EMA9 of macd';
COMMENT ON COLUMN analysis.indicators.macd_hist IS 'macd - macd_signal';
COMMENT ON COLUMN analysis.indicators.atr14 IS 'Average true range, in price units';
COMMENT ON COLUMN analysis.indicators.adx14 IS 'Average directional index, 0 to 100';
COMMENT ON COLUMN analysis.indicators.bb_mid IS 'Mean of 20 closes; bb_upper and bb_lower stand two population standard deviations away';
COMMENT ON COLUMN analysis.indicators.vwap IS 'Volume-weighted mean of (high+low+close)/3 since 00:00 UTC';
COMMENT ON COLUMN analysis.indicators.vwma20 IS 'Volume-weighted mean of 20 closes';
COMMENT ON COLUMN analysis.indicators.natr IS 'atr14 in percent of close';
COMMENT ON COLUMN analysis.indicators.natr_rank IS 'Share of the 199 values of natr before that are strictly below this one';
COMMENT ON COLUMN analysis.indicators.bbw_rank IS 'The same of the band width (bb_upper - bb_lower) / bb_mid';

CREATE TABLE analysis.regimes (
    venue     text COLLATE "C" NOT NULL,
    symbol    text COLLATE "C" NOT NULL,
    tf        text COLLATE "C" NOT NULL,
    ts        timestamptz NOT NULL,
    regime    text NOT NULL,
    vol_state text NOT NULL,
    PRIMARY KEY (venue, symbol, tf, ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT regime_known CHECK (regime IN ('SHOCK', 'TREND', 'RANGE')),
    CONSTRAINT vol_state_known CHECK (vol_state IN ('SHOCK', 'CHOP', 'OK'))
);
CREATE INDEX regimes_symbol_tf_time ON analysis.regimes (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.regimes IS 'One row per closed bar after warm-up: what kind of market it was';
COMMENT ON COLUMN analysis.regimes.ts IS 'Close boundary of the bar: open_time + tf';
COMMENT ON COLUMN analysis.regimes.regime IS 'SHOCK, TREND or RANGE';
COMMENT ON COLUMN analysis.regimes.vol_state IS 'SHOCK, CHOP (a range in a squeeze) or OK';

CREATE TABLE analysis.engine_snapshots (
    venue          text COLLATE "C" NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    tf             text COLLATE "C" NOT NULL,
    ts             timestamptz NOT NULL,
    params_hash    text NOT NULL,
    engine_version integer NOT NULL,
    chain          text NOT NULL,
    live           boolean NOT NULL DEFAULT false,
    state          bytea NOT NULL,
    PRIMARY KEY (venue, symbol, tf, ts, params_hash, engine_version),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT chain_is_hex CHECK (length(chain) = 64)
);
COMMENT ON TABLE analysis.engine_snapshots IS 'Engine states to resume from: month ends are kept, of live ones the last three';
COMMENT ON COLUMN analysis.engine_snapshots.ts IS 'Close boundary of the last bar the state has seen';
COMMENT ON COLUMN analysis.engine_snapshots.chain IS 'Digest of every candle the state has seen; another one means it must not be resumed from';
COMMENT ON COLUMN analysis.engine_snapshots.live IS 'True = written by the streaming service, may be thinned out';
COMMENT ON COLUMN analysis.engine_snapshots.state IS 'Versioned binary of the engine, with its own checksum';
