-- Truth beyond candles: what funding cost, which events were known when, what a result was made from.

CREATE TABLE market.funding_rates (
    venue          text COLLATE "C" NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    funding_time   timestamptz NOT NULL,
    rate           numeric NOT NULL,
    mark_price     numeric,
    interval_hours integer,
    rate_type      text COLLATE "C" NOT NULL,
    source         text COLLATE "C" NOT NULL,
    ingested_at    timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, funding_time, rate_type),
    CONSTRAINT rate_type_known CHECK (rate_type IN ('Regular', 'Special')),
    CONSTRAINT source_known CHECK (source IN ('archive', 'rest')),
    CONSTRAINT mark_price_is_positive CHECK (mark_price > 0),
    CONSTRAINT interval_has_length CHECK (interval_hours >= 0)
);
CREATE INDEX funding_rates_symbol_time ON market.funding_rates (symbol, funding_time DESC);
COMMENT ON TABLE market.funding_rates IS 'One row per funding settlement: the best known version (archive over rest); replaced ones are in funding_revisions';
COMMENT ON COLUMN market.funding_rates.funding_time IS 'When it was settled, to the second';
COMMENT ON COLUMN market.funding_rates.rate IS 'Fraction of the position''s value that longs paid to shorts; negative = shorts paid';
COMMENT ON COLUMN market.funding_rates.mark_price IS 'Price the position was valued at, in quote units, as last stated by a source that has it; null = none did';
COMMENT ON COLUMN market.funding_rates.interval_hours IS 'As realised: hours since the Regular settlement before, rounded; null = none is known before it';
COMMENT ON COLUMN market.funding_rates.rate_type IS 'Regular, or Special (outside the rhythm: starts no interval)';
COMMENT ON COLUMN market.funding_rates.source IS 'Where this version''s rate first came from: archive or rest';
COMMENT ON COLUMN market.funding_rates.ingested_at IS 'When this version first came in';

CREATE TABLE market.funding_revisions (
    venue          text COLLATE "C" NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    funding_time   timestamptz NOT NULL,
    rate           numeric NOT NULL,
    mark_price     numeric,
    interval_hours integer,
    rate_type      text COLLATE "C" NOT NULL,
    source         text COLLATE "C" NOT NULL,
    lost           boolean NOT NULL,
    seen_at        timestamptz NOT NULL,
    superseded_at  timestamptz,
    CONSTRAINT source_known CHECK (source IN ('archive', 'rest')),
    CONSTRAINT lost_never_stood CHECK (lost = (superseded_at IS NULL))
);
CREATE INDEX funding_revisions_symbol_time ON market.funding_revisions (symbol, funding_time DESC);
-- The same losing arrival is filed once however often it comes.
CREATE UNIQUE INDEX funding_revisions_lost_once ON market.funding_revisions
    (venue, symbol, funding_time, rate_type, source, rate, mark_price) NULLS NOT DISTINCT WHERE lost;
COMMENT ON TABLE market.funding_revisions IS 'Versions of settlements that do not stand (any more): replaced ones, and arrivals whose rate lost against a better source';
COMMENT ON COLUMN market.funding_revisions.interval_hours IS 'Of the version while it stood; null = none was known before it, or it lost';
COMMENT ON COLUMN market.funding_revisions.source IS 'Where this version came from';
COMMENT ON COLUMN market.funding_revisions.lost IS 'True = it arrived and was never the stored version';
COMMENT ON COLUMN market.funding_revisions.seen_at IS 'When this version came in';
COMMENT ON COLUMN market.funding_revisions.superseded_at IS 'When another version took its place; null = lost';

-- Every way of changing what was stated files it, in the transaction that changes it. A mark price that becomes known
-- replaces nothing, and interval_hours is ours: neither makes a revision.
CREATE FUNCTION market.file_funding_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO market.funding_revisions
    VALUES (OLD.venue, OLD.symbol, OLD.funding_time, OLD.rate, OLD.mark_price, OLD.interval_hours, OLD.rate_type,
            OLD.source, false, OLD.ingested_at, NEW.ingested_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER file_funding_revision AFTER UPDATE ON market.funding_rates FOR EACH ROW
    WHEN (OLD.rate <> NEW.rate OR OLD.mark_price IS NOT NULL AND OLD.mark_price IS DISTINCT FROM NEW.mark_price)
    EXECUTE FUNCTION market.file_funding_revision();

COMMENT ON COLUMN market.quarantine.tf IS 'Timeframe of the refused candle; funding = a funding settlement was refused';
COMMENT ON COLUMN market.quarantine.open_time IS 'Open time of the refused candle, or time of the refused settlement; null = unreadable';

CREATE TABLE market.calendar_events (
    event_id      text COLLATE "C" NOT NULL,
    known_from    timestamptz NOT NULL,
    ts_start      timestamptz NOT NULL,
    ts_end        timestamptz NOT NULL,
    severity      text COLLATE "C" NOT NULL,
    title         text NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    source        text COLLATE "C" NOT NULL,
    loaded_at     timestamptz NOT NULL,
    superseded_at timestamptz,
    PRIMARY KEY (event_id, known_from),
    CONSTRAINT event_id_is_hex CHECK (event_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT severity_known CHECK (severity IN ('HIGH', 'MED')),
    CONSTRAINT times_are_ordered CHECK (ts_end >= ts_start),
    CONSTRAINT known_when_loaded CHECK (known_from <= loaded_at),
    CONSTRAINT superseded_since_known CHECK (superseded_at >= known_from)
);
-- One version of an event stands at a time.
CREATE UNIQUE INDEX calendar_events_one_stands ON market.calendar_events (event_id) WHERE superseded_at IS NULL;
CREATE INDEX calendar_events_source ON market.calendar_events (source);
CREATE INDEX calendar_events_time ON market.calendar_events (ts_start);
COMMENT ON TABLE market.calendar_events IS 'One row per version of an event; as of T stands the one with known_from <= T and superseded_at null or later than T';
COMMENT ON COLUMN market.calendar_events.event_id IS 'First 24 hex of sha256 over source|uid of the event in its source';
COMMENT ON COLUMN market.calendar_events.known_from IS 'Since when this version was known: a first version as its source declares, else when it was loaded';
COMMENT ON COLUMN market.calendar_events.ts_start IS 'When the event begins';
COMMENT ON COLUMN market.calendar_events.ts_end IS 'When it ends (exclusive); ts_start itself = an instant';
COMMENT ON COLUMN market.calendar_events.severity IS 'HIGH or MED';
COMMENT ON COLUMN market.calendar_events.currency IS 'Whose news it is, e.g. USD; ALL = it concerns every market';
COMMENT ON COLUMN market.calendar_events.source IS 'Name of the configured source';
COMMENT ON COLUMN market.calendar_events.loaded_at IS 'When this version came in';
COMMENT ON COLUMN market.calendar_events.superseded_at IS 'When another version came, or the source withdrew the event; null = it stands';

CREATE TABLE market.calendar_refused (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source  text COLLATE "C" NOT NULL,
    origin  text NOT NULL,
    line    integer,
    payload text NOT NULL,
    reason  text NOT NULL,
    seen_at timestamptz NOT NULL
);
-- Without the line: an entry above it moves a row and makes it no other.
CREATE UNIQUE INDEX calendar_refused_once ON market.calendar_refused
    (source, md5(origin), md5(payload), md5(reason));
COMMENT ON TABLE market.calendar_refused IS 'Rows of a calendar source we refused, with the reason; the same row of the same origin once';
COMMENT ON COLUMN market.calendar_refused.source IS 'Name of the configured source';
COMMENT ON COLUMN market.calendar_refused.origin IS 'The file or address it came from';
COMMENT ON COLUMN market.calendar_refused.line IS 'Line or entry of the file, from 1, when it was first seen; null = the format has none';
COMMENT ON COLUMN market.calendar_refused.payload IS 'The row as it was received';

CREATE TABLE market.datasets (
    dataset_id text COLLATE "C" PRIMARY KEY,
    manifest   text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT named_by_its_manifest CHECK (dataset_id = encode(sha256(convert_to(manifest, 'UTF8')), 'hex'))
);
COMMENT ON TABLE market.datasets IS 'One row per dataset a result was made from: what every result names';
COMMENT ON COLUMN market.datasets.dataset_id IS 'sha256 of the manifest';
COMMENT ON COLUMN market.datasets.manifest IS 'Canonical JSON: chains of the series, versions of funding, calendar, rules and engine (store/datasets.py)';
COMMENT ON COLUMN market.datasets.created_at IS 'When it was first recorded';

CREATE SCHEMA staging;
COMMENT ON SCHEMA staging IS 'dbt: views over market, analysis and the rest, the material of marts';
CREATE SCHEMA marts;
COMMENT ON SCHEMA marts IS 'dbt: tables for analysts, made anew from the rest whenever it changes';

-- A table that was filled a moment ago has no statistics yet, and the planner takes it for empty: questions about it
-- then run for minutes. Whoever fills tables says so; ANALYZE itself only the owner may do.
CREATE FUNCTION ops.gather_statistics() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grown regclass;
    analyzed integer := 0;
BEGIN
    FOR grown IN
        SELECT c.oid::regclass
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT sum(s.n_mod_since_analyze) AS changed, sum(s.n_live_tup) AS live
            FROM pg_stat_all_tables s
            WHERE s.relid = c.oid OR s.relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)
        ) AS rows
        WHERE n.nspname IN ('market', 'analysis') AND c.relkind = 'r'
          AND rows.changed > 500 + 0.2 * rows.live
    LOOP
        EXECUTE 'ANALYZE ' || grown;
        analyzed := analyzed + 1;
    END LOOP;
    RETURN analyzed;
END
$$;
COMMENT ON FUNCTION ops.gather_statistics IS 'ANALYZE the tables of market and analysis of which more than a fifth has changed since they last were; returns how many';
REVOKE EXECUTE ON FUNCTION ops.gather_statistics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.gather_statistics TO tidemark_batch;
