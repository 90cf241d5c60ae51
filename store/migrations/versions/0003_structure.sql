-- ts = the instant the row became known: the close boundary (open_time + tf) of its bar. Other instants name the bar
-- they are drawn at by its ts, too. Prices come from bars unchanged and are stored as exact decimals.
-- Unique keys contain the column their hypertable is cut by: TimescaleDB asks for it.

ALTER TABLE analysis.indicators ADD COLUMN trend smallint CONSTRAINT trend_known CHECK (trend BETWEEN -1 AND 1);
ALTER TABLE analysis.indicators ADD COLUMN range_pos double precision;
COMMENT ON COLUMN analysis.indicators.trend IS 'Direction of the last structure break: 1 up, -1 down, 0 none yet; null = written by engine version 1, which knew no structure';
COMMENT ON COLUMN analysis.indicators.range_pos IS 'Where close stands between the last confirmed swing LOW (0) and HIGH (1); may leave that range; null = not both exist, or they do not span one';

CREATE TABLE analysis.swings (
    venue    text COLLATE "C" NOT NULL,
    symbol   text COLLATE "C" NOT NULL,
    tf       text COLLATE "C" NOT NULL,
    ts       timestamptz NOT NULL,
    pivot_ts timestamptz NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    price    numeric NOT NULL,
    label    text COLLATE "C",
    left_n   smallint,
    right_n  smallint,
    PRIMARY KEY (venue, symbol, tf, ts, kind),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('HIGH', 'LOW')),
    CONSTRAINT label_of_kind
        CHECK (kind = 'HIGH' AND label IN ('HH', 'LH') OR kind = 'LOW' AND label IN ('LL', 'HL') OR label IS NULL),
    CONSTRAINT price_is_positive CHECK (price > 0),
    CONSTRAINT confirmed_not_before_pivot CHECK (ts >= pivot_ts)
);
CREATE INDEX swings_symbol_tf_time ON analysis.swings (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.swings IS 'One row per confirmed swing; it was not known before ts, whatever the picture suggests';
COMMENT ON COLUMN analysis.swings.ts IS 'When it was confirmed';
COMMENT ON COLUMN analysis.swings.pivot_ts IS 'The bar it is drawn at';
COMMENT ON COLUMN analysis.swings.kind IS 'HIGH or LOW';
COMMENT ON COLUMN analysis.swings.price IS 'High or low of the pivot bar';
COMMENT ON COLUMN analysis.swings.label IS 'Against the swing of its kind before: HH, LH, LL or HL; null = the first of its kind';
COMMENT ON COLUMN analysis.swings.left_n IS 'How many bars before the pivot it stands out from; null = zigzag mode';
COMMENT ON COLUMN analysis.swings.right_n IS 'How many bars after it; null = zigzag mode';

CREATE TABLE analysis.smc_events (
    venue  text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    tf     text COLLATE "C" NOT NULL,
    ts     timestamptz NOT NULL,
    kind   text COLLATE "C" NOT NULL,
    ref_ts timestamptz NOT NULL,
    level  numeric NOT NULL,
    PRIMARY KEY (venue, symbol, tf, ts, kind),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('CHOCH_UP', 'CHOCH_DN', 'BOS_UP', 'BOS_DN')),
    CONSTRAINT level_is_positive CHECK (level > 0),
    CONSTRAINT after_its_reference CHECK (ts > ref_ts)
);
CREATE INDEX smc_events_symbol_tf_time ON analysis.smc_events (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.smc_events IS 'One row per structure break: a close beyond the reference swing; at most one a bar';
COMMENT ON COLUMN analysis.smc_events.kind IS 'BOS = with the trend (or the first break), CHOCH = against it; UP or DN';
COMMENT ON COLUMN analysis.smc_events.ref_ts IS 'Pivot bar of the swing that was broken';
COMMENT ON COLUMN analysis.smc_events.level IS 'Price of that swing';

CREATE TABLE analysis.liquidity_events (
    venue  text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    tf     text COLLATE "C" NOT NULL,
    ts     timestamptz NOT NULL,
    kind   text COLLATE "C" NOT NULL,
    ref_ts timestamptz NOT NULL,
    level  numeric NOT NULL,
    PRIMARY KEY (venue, symbol, tf, ts, kind),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('EQH', 'EQL', 'SWEEP_HIGH', 'SWEEP_LOW')),
    CONSTRAINT level_is_positive CHECK (level > 0),
    CONSTRAINT after_its_reference CHECK (ts > ref_ts)
);
CREATE INDEX liquidity_events_symbol_tf_time ON analysis.liquidity_events (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.liquidity_events IS 'One row per pair of equal swings (EQH, EQL), known when the second is confirmed, and per sweep of a swing';
COMMENT ON COLUMN analysis.liquidity_events.kind IS 'EQH or EQL = two swings at one level; SWEEP_HIGH or SWEEP_LOW = exceeded within the bar, closed back inside';
COMMENT ON COLUMN analysis.liquidity_events.ref_ts IS 'Pivot bar of the earlier of the two swings, or of the swing that was swept';
COMMENT ON COLUMN analysis.liquidity_events.level IS 'The higher of two highs, the lower of two lows, or the price that was swept';

CREATE TABLE analysis.zone_events (
    venue             text COLLATE "C" NOT NULL,
    symbol            text COLLATE "C" NOT NULL,
    tf                text COLLATE "C" NOT NULL,
    kind              text COLLATE "C" NOT NULL,
    created_ts        timestamptz NOT NULL,
    parent_created_ts timestamptz,
    ts                timestamptz NOT NULL,
    event             text COLLATE "C" NOT NULL,
    touches           integer NOT NULL,
    -- No primary key: a zone has no parent, and a made-up one would be read as true. Inversions born at one bar differ
    -- by their parents alone, so the parent belongs to the key, with null as a value like any other.
    CONSTRAINT zone_events_once UNIQUE NULLS NOT DISTINCT (venue, symbol, tf, kind, created_ts, parent_created_ts, ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('OB', 'FVG', 'BREAKER', 'IFVG')),
    CONSTRAINT event_known CHECK (event IN ('CREATED', 'TOUCHED', 'MITIGATED', 'EXPIRED', 'EVICTED')),
    CONSTRAINT inversions_have_a_parent CHECK ((parent_created_ts IS NULL) = (kind IN ('OB', 'FVG'))),
    CONSTRAINT parent_came_before CHECK (parent_created_ts < created_ts),
    CONSTRAINT created_comes_first
        CHECK (ts >= created_ts AND touches >= 0 AND (event <> 'CREATED' OR ts = created_ts AND touches = 0))
);
CREATE INDEX zone_events_symbol_tf_time ON analysis.zone_events (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.zone_events IS 'One row per change in the life of a zone or inversion, the truth of every life cycle; zones and inversions hold its last state. At most one a bar: first touched and ended at one bar is only the end';
COMMENT ON COLUMN analysis.zone_events.kind IS 'OB (order block), FVG (fair value gap), and their inversions BREAKER and IFVG';
COMMENT ON COLUMN analysis.zone_events.created_ts IS 'When the zone or inversion was created';
COMMENT ON COLUMN analysis.zone_events.parent_created_ts IS 'Of an inversion: created_ts of the zone it came from; null = a zone';
COMMENT ON COLUMN analysis.zone_events.event IS 'CREATED, TOUCHED (the first time), or how it ended: MITIGATED, EXPIRED, EVICTED';
COMMENT ON COLUMN analysis.zone_events.touches IS 'How many bars have touched it up to ts';

CREATE TABLE analysis.zones (
    venue          text COLLATE "C" NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    tf             text COLLATE "C" NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    side           text COLLATE "C" NOT NULL,
    price_lo       numeric NOT NULL,
    price_hi       numeric NOT NULL,
    created_ts     timestamptz NOT NULL,
    origin_ts      timestamptz NOT NULL,
    origin_event   text COLLATE "C",
    strength       integer NOT NULL,
    expiry_bars    integer NOT NULL,
    touches        integer NOT NULL,
    first_touch_ts timestamptz,
    status         text COLLATE "C" NOT NULL,
    ended_ts       timestamptz,
    PRIMARY KEY (venue, symbol, tf, kind, created_ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('OB', 'FVG')),
    CONSTRAINT side_known CHECK (side IN ('DEMAND', 'SUPPLY')),
    CONSTRAINT bounds_are_ordered CHECK (0 < price_lo AND price_lo < price_hi),
    CONSTRAINT origin_came_before CHECK (origin_ts < created_ts),
    CONSTRAINT order_blocks_come_from_a_break
        CHECK (kind = 'FVG' AND origin_event IS NULL
               OR kind = 'OB' AND origin_event IS NOT NULL AND origin_event IN ('CHOCH_UP', 'CHOCH_DN', 'BOS_UP', 'BOS_DN')),
    CONSTRAINT strength_in_range CHECK (strength BETWEEN 0 AND 10),
    CONSTRAINT expires CHECK (expiry_bars > 0),
    CONSTRAINT status_known CHECK (status IN ('ACTIVE', 'MITIGATED', 'EXPIRED', 'EVICTED')),
    CONSTRAINT ended_unless_active CHECK ((status = 'ACTIVE') = (ended_ts IS NULL) AND ended_ts >= created_ts),
    CONSTRAINT touched_since_first_touch
        CHECK (touches >= 0 AND (touches = 0) = (first_touch_ts IS NULL) AND first_touch_ts > created_ts)
);
CREATE INDEX zones_symbol_tf_time ON analysis.zones (symbol, tf, created_ts DESC);
COMMENT ON TABLE analysis.zones IS 'One row per order block or fair value gap, as its last zone event left it: what was known at an earlier instant is in zone_events';
COMMENT ON COLUMN analysis.zones.kind IS 'OB (order block) or FVG (fair value gap)';
COMMENT ON COLUMN analysis.zones.side IS 'DEMAND (price is expected to rise from it) or SUPPLY';
COMMENT ON COLUMN analysis.zones.created_ts IS 'When it became known; a chart that draws it earlier draws what nobody knew';
COMMENT ON COLUMN analysis.zones.origin_ts IS 'The bar it is drawn from: the last candle against the break, or the middle one of the gap';
COMMENT ON COLUMN analysis.zones.origin_event IS 'Kind of the structure break that made an order block; null = a gap';
COMMENT ON COLUMN analysis.zones.strength IS '0 to 10: displacement, volume, confluence';
COMMENT ON COLUMN analysis.zones.expiry_bars IS 'Age in bars at which it expires';
COMMENT ON COLUMN analysis.zones.touches IS 'How many bars touched it: 0, 1 from the first touch on, the final count once it ended';
COMMENT ON COLUMN analysis.zones.first_touch_ts IS 'When it was first touched; null = never';
COMMENT ON COLUMN analysis.zones.status IS 'ACTIVE, MITIGATED (closed beyond its far edge), EXPIRED, or EVICTED (too many were active)';
COMMENT ON COLUMN analysis.zones.ended_ts IS 'When it ended; null = active';

CREATE TABLE analysis.inversions (
    venue             text COLLATE "C" NOT NULL,
    symbol            text COLLATE "C" NOT NULL,
    tf                text COLLATE "C" NOT NULL,
    kind              text COLLATE "C" NOT NULL,
    side              text COLLATE "C" NOT NULL,
    price_lo          numeric NOT NULL,
    price_hi          numeric NOT NULL,
    created_ts        timestamptz NOT NULL,
    parent_created_ts timestamptz NOT NULL,
    strength          integer NOT NULL,
    expiry_bars       integer NOT NULL,
    touches           integer NOT NULL,
    first_touch_ts    timestamptz,
    status            text COLLATE "C" NOT NULL,
    ended_ts          timestamptz,
    -- The parent names it, hence the hypertable is cut by the parent's instant: created_ts could not be in this key.
    -- An inversion lies in the chunk its parent's life began in, at most expiry_bars before its own.
    PRIMARY KEY (venue, symbol, tf, kind, parent_created_ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT kind_known CHECK (kind IN ('BREAKER', 'IFVG')),
    CONSTRAINT side_known CHECK (side IN ('DEMAND', 'SUPPLY')),
    CONSTRAINT bounds_are_ordered CHECK (0 < price_lo AND price_lo < price_hi),
    CONSTRAINT parent_came_before CHECK (parent_created_ts < created_ts),
    CONSTRAINT strength_in_range CHECK (strength BETWEEN 0 AND 10),
    CONSTRAINT expires CHECK (expiry_bars > 0),
    CONSTRAINT status_known CHECK (status IN ('ACTIVE', 'MITIGATED', 'EXPIRED', 'EVICTED')),
    CONSTRAINT ended_unless_active CHECK ((status = 'ACTIVE') = (ended_ts IS NULL) AND ended_ts >= created_ts),
    CONSTRAINT touched_since_first_touch
        CHECK (touches >= 0 AND (touches = 0) = (first_touch_ts IS NULL) AND first_touch_ts > created_ts)
);
CREATE INDEX inversions_symbol_tf_time ON analysis.inversions (symbol, tf, created_ts DESC);
COMMENT ON TABLE analysis.inversions IS 'One row per mitigated zone that lives on with the other side, as its last zone event left it';
COMMENT ON COLUMN analysis.inversions.kind IS 'BREAKER (of an order block) or IFVG (of a fair value gap)';
COMMENT ON COLUMN analysis.inversions.side IS 'DEMAND or SUPPLY: the other one than its parent''s';
COMMENT ON COLUMN analysis.inversions.created_ts IS 'When its parent was mitigated';
COMMENT ON COLUMN analysis.inversions.parent_created_ts IS 'created_ts of the zone it came from';
COMMENT ON COLUMN analysis.inversions.strength IS 'Its parent''s';
COMMENT ON COLUMN analysis.inversions.expiry_bars IS 'Age in bars, from its own creation, at which it expires';
COMMENT ON COLUMN analysis.inversions.touches IS 'How many bars touched it: 0, 1 from the first touch on, the final count once it ended';
COMMENT ON COLUMN analysis.inversions.first_touch_ts IS 'When it was first touched; null = never';
COMMENT ON COLUMN analysis.inversions.status IS 'ACTIVE, MITIGATED (closed beyond its far edge), EXPIRED, or EVICTED (too many were active)';
COMMENT ON COLUMN analysis.inversions.ended_ts IS 'When it ended; null = active';

CREATE TABLE analysis.signals_raw (
    signal_id       text COLLATE "C" NOT NULL,
    agent           text COLLATE "C" NOT NULL,
    venue           text COLLATE "C" NOT NULL,
    symbol          text COLLATE "C" NOT NULL,
    tf              text COLLATE "C" NOT NULL,
    ts              timestamptz NOT NULL,
    side_hint       text COLLATE "C" NOT NULL,
    entry_hint      double precision NOT NULL,
    sl_hint         double precision NOT NULL,
    tp_r            double precision[] NOT NULL,
    features        jsonb NOT NULL,
    score           double precision NOT NULL,
    ttl_bars        integer NOT NULL,
    zone_kind       text COLLATE "C",
    zone_created_ts timestamptz,
    retest_ok       boolean NOT NULL,
    structure_ok    boolean NOT NULL,
    PRIMARY KEY (signal_id, ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT signal_id_is_hex CHECK (signal_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT side_known CHECK (side_hint IN ('LONG', 'SHORT')),
    CONSTRAINT zone_kind_known CHECK (zone_kind IN ('OB', 'FVG')),
    CONSTRAINT zone_is_named_whole CHECK ((zone_kind IS NULL) = (zone_created_ts IS NULL)),
    CONSTRAINT features_is_object CHECK (jsonb_typeof(features) = 'object'),
    CONSTRAINT lives CHECK (ttl_bars > 0)
);
CREATE INDEX signals_raw_symbol_tf_time ON analysis.signals_raw (symbol, tf, ts DESC);
COMMENT ON TABLE analysis.signals_raw IS 'One row per signal of an agent, before any guard, limit or sizing has seen it';
COMMENT ON COLUMN analysis.signals_raw.signal_id IS 'First 24 hex of sha256 over series key, ts, agent, side and parameters';
COMMENT ON COLUMN analysis.signals_raw.agent IS 'Who made it: retest (the engine) or the name of a plug-in bot';
COMMENT ON COLUMN analysis.signals_raw.entry_hint IS 'Where to enter, in quote units; the retest''s is the close of its bar';
COMMENT ON COLUMN analysis.signals_raw.sl_hint IS 'Where the stop belongs, in quote units';
COMMENT ON COLUMN analysis.signals_raw.tp_r IS 'Targets as multiples of |entry_hint - sl_hint|, ascending';
COMMENT ON COLUMN analysis.signals_raw.features IS 'What the agent saw, seen from the signal''s side, e.g. ema200_up, macd_hist_up, rsi_mid_rebound, micro_bos, in_direction';
COMMENT ON COLUMN analysis.signals_raw.score IS 'The agent''s own rating, 0 to 1';
COMMENT ON COLUMN analysis.signals_raw.ttl_bars IS 'For how many bars after ts it may be acted on';
COMMENT ON COLUMN analysis.signals_raw.zone_kind IS 'With zone_created_ts: the zone it came from; null = no zone';
COMMENT ON COLUMN analysis.signals_raw.retest_ok IS 'Whether momentum agreed (the retest''s macd and rsi flags)';
COMMENT ON COLUMN analysis.signals_raw.structure_ok IS 'Whether the last CHOCH was in its direction and a BOS has followed it';

-- What happened to bots is history, not output of the engine: a take-over by another engine leaves it alone.
CREATE TABLE analysis.bot_quarantine (
    agent       text COLLATE "C" NOT NULL,
    venue       text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    tf          text COLLATE "C" NOT NULL,
    from_ts     timestamptz NOT NULL,
    to_ts       timestamptz,
    reason      text COLLATE "C" NOT NULL,
    detail      text NOT NULL,
    bot_version text NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (agent, venue, symbol, tf, from_ts),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT reason_known CHECK (reason IN ('RAISED', 'LATE', 'EXITED', 'REJECTED')),
    CONSTRAINT origin_known CHECK (origin IN ('batch', 'live')),
    CONSTRAINT has_length CHECK (to_ts > from_ts)
);
COMMENT ON TABLE analysis.bot_quarantine IS 'One row per span in which a plug-in bot was not asked on a series; batch replays the spans, so that it gives what live gave';
COMMENT ON COLUMN analysis.bot_quarantine.agent IS 'Name of the bot';
COMMENT ON COLUMN analysis.bot_quarantine.from_ts IS 'ts of the first bar it was not (or no longer) listened to';
COMMENT ON COLUMN analysis.bot_quarantine.to_ts IS 'Exclusive end: ts from which it is asked again; null = still quarantined';
COMMENT ON COLUMN analysis.bot_quarantine.reason IS 'RAISED = its code raised; LATE = no answer by the deadline; EXITED = its process ended; REJECTED = its answer was not valid';
COMMENT ON COLUMN analysis.bot_quarantine.detail IS 'Traceback or what was wrong with the answer';
COMMENT ON COLUMN analysis.bot_quarantine.bot_version IS 'Fingerprint of the bot''s source, or its distribution''s version';
COMMENT ON COLUMN analysis.bot_quarantine.origin IS 'batch or live: who was running it';
COMMENT ON COLUMN analysis.bot_quarantine.recorded_at IS 'When this row was written';
