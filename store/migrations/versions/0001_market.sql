-- Times are UTC instants; prices and quantities are the exchange's own decimals.
-- Keys are compared byte by byte (collation C): faster, and the same order on every server.

CREATE SCHEMA market;
COMMENT ON SCHEMA market IS 'What the exchange said: candles with their source and history, holes, rules';
COMMENT ON SCHEMA ops IS 'How the platform runs';

CREATE TABLE market.instruments (
    venue         text COLLATE "C" NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    contract_type text NOT NULL,
    base          text NOT NULL,
    quote         text NOT NULL,
    listed_at     timestamptz,
    delisted_at   timestamptz,
    status        text NOT NULL,
    PRIMARY KEY (venue, symbol)
);
COMMENT ON TABLE market.instruments IS 'One row per tradable symbol of a venue, as its exchange information last described it';
COMMENT ON COLUMN market.instruments.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN market.instruments.contract_type IS 'SPOT, PERPETUAL or the exchange''s word for a dated contract';
COMMENT ON COLUMN market.instruments.listed_at IS 'When trading began; null = the exchange does not say';
COMMENT ON COLUMN market.instruments.delisted_at IS 'When trading ended or will end; null = open-ended';
COMMENT ON COLUMN market.instruments.status IS 'The exchange''s trading status, e.g. TRADING, BREAK, SETTLING';

CREATE TABLE market.series (
    venue   text COLLATE "C" NOT NULL,
    symbol  text COLLATE "C" NOT NULL,
    tf      text COLLATE "C" NOT NULL,
    sub_tf  text COLLATE "C",
    enabled boolean NOT NULL DEFAULT true,
    live    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (venue, symbol, tf),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT sub_tf_known
        CHECK (sub_tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d') AND sub_tf <> tf)
);
COMMENT ON TABLE market.series IS 'One row per series the platform keeps; everything that lists series reads it';
COMMENT ON COLUMN market.series.sub_tf IS 'Timeframe whose structure breaks feed this series; null = none';
COMMENT ON COLUMN market.series.enabled IS 'Whether backfills and schedules include it';
COMMENT ON COLUMN market.series.live IS 'Whether the streaming service runs it';

CREATE TABLE market.candles (
    venue         text COLLATE "C" NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    tf            text COLLATE "C" NOT NULL,
    open_time     timestamptz NOT NULL,
    close_time    timestamptz NOT NULL,
    open          numeric NOT NULL,
    high          numeric NOT NULL,
    low           numeric NOT NULL,
    close         numeric NOT NULL,
    volume        numeric NOT NULL,
    trades        integer NOT NULL,
    taker_buy_vol numeric NOT NULL,
    quote_vol     numeric NOT NULL,
    source        text COLLATE "C" NOT NULL,
    ingested_at   timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, tf, open_time),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT source_known CHECK (source IN ('archive', 'rest', 'ws')),
    CONSTRAINT close_after_open CHECK (close_time > open_time)
);
CREATE INDEX candles_symbol_tf_time ON market.candles (symbol, tf, open_time DESC);
COMMENT ON TABLE market.candles IS 'One row per closed candle: the best known version (archive over rest over ws); replaced ones are in candle_revisions';
COMMENT ON COLUMN market.candles.open_time IS 'First instant of the bar, on the grid of tf';
COMMENT ON COLUMN market.candles.close_time IS 'Last millisecond of the bar: open_time + tf - 1 ms';
COMMENT ON COLUMN market.candles.volume IS 'In base units';
COMMENT ON COLUMN market.candles.quote_vol IS 'In quote units';
COMMENT ON COLUMN market.candles.taker_buy_vol IS 'Base volume bought by takers';
COMMENT ON COLUMN market.candles.source IS 'Where this version first came from: archive, rest or ws';
COMMENT ON COLUMN market.candles.ingested_at IS 'When this version first came in';

CREATE TABLE market.candle_revisions (
    venue         text COLLATE "C" NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    tf            text COLLATE "C" NOT NULL,
    open_time     timestamptz NOT NULL,
    open          numeric NOT NULL,
    high          numeric NOT NULL,
    low           numeric NOT NULL,
    close         numeric NOT NULL,
    volume        numeric NOT NULL,
    trades        integer NOT NULL,
    taker_buy_vol numeric NOT NULL,
    quote_vol     numeric NOT NULL,
    source        text COLLATE "C" NOT NULL,
    lost          boolean NOT NULL,
    seen_at       timestamptz NOT NULL,
    superseded_at timestamptz,
    CONSTRAINT source_known CHECK (source IN ('archive', 'rest', 'ws')),
    CONSTRAINT lost_never_stood CHECK (lost = (superseded_at IS NULL))
);
CREATE INDEX candle_revisions_symbol_tf_time ON market.candle_revisions (symbol, tf, open_time DESC);
-- The same losing arrival is filed once however often it comes.
CREATE UNIQUE INDEX candle_revisions_lost_once ON market.candle_revisions
    (venue, symbol, tf, open_time, source, open, high, low, close, volume, trades, taker_buy_vol, quote_vol) WHERE lost;
COMMENT ON TABLE market.candle_revisions IS 'Versions of candles that do not stand (any more): replaced ones, and arrivals that lost against a better source';
COMMENT ON COLUMN market.candle_revisions.source IS 'Where this version came from';
COMMENT ON COLUMN market.candle_revisions.lost IS 'True = it arrived and was never the stored version';
COMMENT ON COLUMN market.candle_revisions.seen_at IS 'When this version came in';
COMMENT ON COLUMN market.candle_revisions.superseded_at IS 'When another version took its place; null = lost';

-- Every way of changing a candle files what it replaces, in the transaction that replaces it.
CREATE FUNCTION market.file_candle_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO market.candle_revisions
    VALUES (OLD.venue, OLD.symbol, OLD.tf, OLD.open_time, OLD.open, OLD.high, OLD.low, OLD.close, OLD.volume, OLD.trades,
            OLD.taker_buy_vol, OLD.quote_vol, OLD.source, false, OLD.ingested_at, NEW.ingested_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER file_candle_revision AFTER UPDATE ON market.candles FOR EACH ROW
    WHEN ((OLD.open, OLD.high, OLD.low, OLD.close, OLD.volume, OLD.trades, OLD.taker_buy_vol, OLD.quote_vol)
          IS DISTINCT FROM
          (NEW.open, NEW.high, NEW.low, NEW.close, NEW.volume, NEW.trades, NEW.taker_buy_vol, NEW.quote_vol))
    EXECUTE FUNCTION market.file_candle_revision();

CREATE TABLE market.candle_gaps (
    venue       text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    tf          text COLLATE "C" NOT NULL,
    from_time   timestamptz NOT NULL,
    to_time     timestamptz NOT NULL,
    bars        integer NOT NULL,
    cause       text NOT NULL,
    first_seen  timestamptz NOT NULL,
    resolved_at timestamptz,
    PRIMARY KEY (venue, symbol, tf, from_time),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT cause_known CHECK (cause IN ('exchange', 'unlisted', 'archive', 'quarantined', 'pending')),
    CONSTRAINT has_bars CHECK (bars > 0 AND to_time > from_time),
    CONSTRAINT pending_is_unresolved CHECK (cause <> 'pending' OR resolved_at IS NULL)
);
CREATE INDEX candle_gaps_symbol_tf_time ON market.candle_gaps (symbol, tf, from_time DESC);
COMMENT ON TABLE market.candle_gaps IS 'One row per hole in a series, with its cause; analysis runs up to the first pending one';
COMMENT ON COLUMN market.candle_gaps.from_time IS 'Open time of the first missing candle';
COMMENT ON COLUMN market.candle_gaps.to_time IS 'Open time of the first candle after the hole (exclusive end)';
COMMENT ON COLUMN market.candle_gaps.bars IS 'How many candles are missing';
COMMENT ON COLUMN market.candle_gaps.cause IS 'exchange = it has no such candle (two REST answers at least 30 s apart); unlisted = before listing or after delisting; archive = missing there, filled elsewhere; quarantined = rows refused; pending = not known yet';
COMMENT ON COLUMN market.candle_gaps.first_seen IS 'When the hole was first noticed';
COMMENT ON COLUMN market.candle_gaps.resolved_at IS 'When its cause was settled; null = pending';

CREATE TABLE market.quarantine (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue     text COLLATE "C" NOT NULL,
    symbol    text COLLATE "C" NOT NULL,
    tf        text COLLATE "C" NOT NULL,
    open_time timestamptz,
    source    text COLLATE "C" NOT NULL,
    origin    text NOT NULL,
    payload   text NOT NULL,
    reason    text NOT NULL,
    seen_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX quarantine_once ON market.quarantine (venue, symbol, tf, reason, md5(origin), md5(payload));
CREATE INDEX quarantine_symbol_tf_time ON market.quarantine (symbol, tf, open_time DESC);
COMMENT ON TABLE market.quarantine IS 'Rows an exchange delivered and we refused, with the reason; the same row of the same origin once';
COMMENT ON COLUMN market.quarantine.open_time IS 'Open time of the refused candle; null = unreadable';
COMMENT ON COLUMN market.quarantine.source IS 'archive, rest or ws';
COMMENT ON COLUMN market.quarantine.origin IS 'The file or address it came from';
COMMENT ON COLUMN market.quarantine.payload IS 'The row as it was received';

CREATE TABLE market.archive_files (
    url         text COLLATE "C" PRIMARY KEY,
    etag        text,
    sha256      text NOT NULL,
    rows        integer NOT NULL,
    verified_at timestamptz NOT NULL,
    CONSTRAINT sha256_is_hex CHECK (length(sha256) = 64)
);
COMMENT ON TABLE market.archive_files IS 'One row per file of the exchange''s archive that was loaded, in its last seen version';
COMMENT ON COLUMN market.archive_files.etag IS 'The server''s version tag; null = it sent none';
COMMENT ON COLUMN market.archive_files.sha256 IS 'Checksum of the zip, equal to the published one';
COMMENT ON COLUMN market.archive_files.rows IS 'Candles accepted from it';
COMMENT ON COLUMN market.archive_files.verified_at IS 'When its checksum was last compared with the published one';

CREATE TABLE market.candle_digests (
    venue       text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    tf          text COLLATE "C" NOT NULL,
    month       date NOT NULL,
    rows        integer NOT NULL,
    sha256      text NOT NULL,
    chain       text,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, tf, month),
    CONSTRAINT month_is_first_day CHECK (extract(day FROM month) = 1),
    CONSTRAINT sha256_is_hex CHECK (length(sha256) = 64),
    CONSTRAINT chain_is_hex CHECK (length(chain) = 64)
);
COMMENT ON TABLE market.candle_digests IS 'One row per series and stored month: the fingerprint of its candles, and of all candles up to its end';
COMMENT ON COLUMN market.candle_digests.month IS 'First day of the month (UTC)';
COMMENT ON COLUMN market.candle_digests.sha256 IS 'Digest of the month''s candles (contracts/candles.py says of which text)';
COMMENT ON COLUMN market.candle_digests.chain IS 'Digest of every candle from the first to the end of this month; null = an earlier month is not stored';

CREATE TABLE market.exchange_rules (
    venue   text COLLATE "C" NOT NULL,
    symbol  text COLLATE "C" NOT NULL,
    seen_at timestamptz NOT NULL,
    rules   jsonb NOT NULL,
    sha256  text NOT NULL,
    PRIMARY KEY (venue, symbol, seen_at),
    CONSTRAINT sha256_is_hex CHECK (length(sha256) = 64)
);
COMMENT ON TABLE market.exchange_rules IS 'Trading rules of an instrument from seen_at on; a row only when they changed';
COMMENT ON COLUMN market.exchange_rules.rules IS 'tick, step, notional, limits, status, fees (contracts/instrument.py)';
COMMENT ON COLUMN market.exchange_rules.sha256 IS 'Fingerprint of the rules in canonical form';
