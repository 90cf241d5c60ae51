-- What was decided, what was sent, what came of it, and who may send at all. This text makes the schema of live trading
-- and, with the other name put for the word trading (0009_trading.py), the schema paper: the same tables, functions and
-- laws for both. Prices, quantities and money are exact decimals; NaN stands above every number, so every number that
-- is bounded from above by infinity is a number.

CREATE SCHEMA trading;
COMMENT ON SCHEMA trading IS 'Decisions and what came of them: orders, fills, positions, states, the audit log. Real accounts and the paper broker have such a schema each';

CREATE TABLE trading.decisions (
    decision_id  text COLLATE "C" PRIMARY KEY,
    bracket_id   text COLLATE "C" NOT NULL,
    ts           timestamptz NOT NULL,
    evaluated_at timestamptz NOT NULL,
    book         text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    profile      text COLLATE "C" NOT NULL,
    param_set    text COLLATE "C" NOT NULL,
    signal_id    text COLLATE "C" NOT NULL,
    venue        text COLLATE "C" NOT NULL,
    symbol       text COLLATE "C" NOT NULL,
    side         text COLLATE "C" NOT NULL,
    size         numeric NOT NULL,
    entry        numeric,
    sl           numeric,
    tp_ladder    jsonb NOT NULL,
    risk         jsonb NOT NULL,
    gates        jsonb NOT NULL,
    context      jsonb NOT NULL,
    rule_id      text COLLATE "C" NOT NULL,
    confidence   double precision NOT NULL,
    reason       text,
    dataset_id   text COLLATE "C",
    trace_id     text COLLATE "C",
    CONSTRAINT decision_id_is_hex CHECK (decision_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT signal_id_is_hex CHECK (signal_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT book_known CHECK (book IN ('live', 'paper', 'shadow')),
    CONSTRAINT account_has_a_name CHECK (account <> ''),
    CONSTRAINT profile_has_a_name CHECK (profile <> ''),
    CONSTRAINT side_known CHECK (side IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT hold_has_no_size CHECK (CASE side WHEN 'HOLD' THEN size = 0 ELSE size > 0 AND size < 'Infinity' END),
    CONSTRAINT acts_at_a_price_with_a_stop CHECK (side = 'HOLD' OR entry IS NOT NULL AND sl IS NOT NULL),
    CONSTRAINT hold_has_a_reason CHECK ((side = 'HOLD') = (reason IS NOT NULL)),
    CONSTRAINT entry_is_positive CHECK (entry > 0 AND entry < 'Infinity'),
    CONSTRAINT sl_is_positive CHECK (sl > 0 AND sl < 'Infinity'),
    CONSTRAINT tp_ladder_is_list CHECK (jsonb_typeof(tp_ladder) = 'array'),
    CONSTRAINT risk_is_object CHECK (jsonb_typeof(risk) = 'object'),
    CONSTRAINT gates_is_list CHECK (jsonb_typeof(gates) = 'array'),
    CONSTRAINT context_is_object CHECK (jsonb_typeof(context) = 'object'),
    CONSTRAINT confidence_is_finite CHECK (confidence > '-Infinity' AND confidence < 'Infinity')
);
CREATE UNIQUE INDEX decisions_one_bracket_once ON trading.decisions (bracket_id) WHERE side <> 'HOLD';
CREATE INDEX decisions_symbol_time ON trading.decisions (symbol, ts);
COMMENT ON TABLE trading.decisions IS 'One row per evaluation of a signal at a bar by a profile, the rejected ones too';
COMMENT ON COLUMN trading.decisions.decision_id IS 'First 24 hex of sha256 over bracket_id and ts';
COMMENT ON COLUMN trading.decisions.bracket_id IS 'First 24 hex of sha256 over signal, profile and book; acted on at most once';
COMMENT ON COLUMN trading.decisions.ts IS 'Close of the bar that was evaluated';
COMMENT ON COLUMN trading.decisions.evaluated_at IS 'When it was evaluated';
COMMENT ON COLUMN trading.decisions.book IS 'live, paper, or shadow = decided and never sent';
COMMENT ON COLUMN trading.decisions.account IS 'Account it is meant for';
COMMENT ON COLUMN trading.decisions.profile IS 'Name of the risk profile';
COMMENT ON COLUMN trading.decisions.param_set IS 'Fingerprint of the engine''s parameters';
COMMENT ON COLUMN trading.decisions.signal_id IS 'Signal that was evaluated';
COMMENT ON COLUMN trading.decisions.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN trading.decisions.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN trading.decisions.side IS 'BUY or SELL where every gate passed, else HOLD';
COMMENT ON COLUMN trading.decisions.size IS 'Quantity in base units; 0 for a HOLD';
COMMENT ON COLUMN trading.decisions.entry IS 'Limit price of the entry; of a HOLD the one that was looked at, null = there was none';
COMMENT ON COLUMN trading.decisions.sl IS 'Stop price; null as in entry';
COMMENT ON COLUMN trading.decisions.tp_ladder IS 'Targets, nearest first: [{price, qty}]; empty for a HOLD';
COMMENT ON COLUMN trading.decisions.risk IS 'What it puts at risk: {position_value, risk_amount, risk_reward}';
COMMENT ON COLUMN trading.decisions.gates IS 'Verdict of every gate, in order: [{gate, passed, value, limit}]';
COMMENT ON COLUMN trading.decisions.context IS 'Everything the evaluation was given: it can be made again from it';
COMMENT ON COLUMN trading.decisions.rule_id IS 'Agent of the signal';
COMMENT ON COLUMN trading.decisions.confidence IS 'Score of the signal';
COMMENT ON COLUMN trading.decisions.reason IS 'First gate that failed; null = none did';
COMMENT ON COLUMN trading.decisions.dataset_id IS 'Dataset its bars are from (market.datasets); null = they are of none';
COMMENT ON COLUMN trading.decisions.trace_id IS 'Trace it was made in; null = none was kept';

CREATE TABLE trading.outbox (
    bracket_id text COLLATE "C" PRIMARY KEY,
    payload    jsonb NOT NULL,
    state      text COLLATE "C" NOT NULL,
    attempts   integer NOT NULL,
    last_error text,
    updated_at timestamptz NOT NULL,
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT payload_is_object CHECK (jsonb_typeof(payload) = 'object'),
    CONSTRAINT state_known CHECK (state IN ('PENDING', 'SENT', 'ACCEPTED', 'REFUSED', 'STALE')),
    CONSTRAINT attempts_are_counted CHECK (attempts >= 0)
);
CREATE INDEX outbox_waiting ON trading.outbox (updated_at) WHERE state IN ('PENDING', 'SENT');
COMMENT ON TABLE trading.outbox IS 'One row per decision that the router is to be handed, committed together with the decision';
COMMENT ON COLUMN trading.outbox.bracket_id IS 'Bracket of the decision';
COMMENT ON COLUMN trading.outbox.payload IS 'The event that is sent (decision.v1)';
COMMENT ON COLUMN trading.outbox.state IS 'PENDING, SENT = no answer yet, ACCEPTED, REFUSED by the router, or STALE = valid_until has passed';
COMMENT ON COLUMN trading.outbox.attempts IS 'How often it was sent';
COMMENT ON COLUMN trading.outbox.last_error IS 'What the last attempt ended with; null = none has failed';
COMMENT ON COLUMN trading.outbox.updated_at IS 'When its state last changed or it was last sent';

CREATE TABLE trading.intents (
    bracket_id  text COLLATE "C" PRIMARY KEY,
    payload     text NOT NULL,
    plan        jsonb NOT NULL,
    lease_name  text COLLATE "C" NOT NULL,
    lease_token bigint NOT NULL,
    state       text COLLATE "C" NOT NULL,
    reason      text,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT plan_is_object CHECK (jsonb_typeof(plan) = 'object'),
    CONSTRAINT state_is_a_word CHECK (state ~ '^[A-Z][A-Z_]{1,31}$'),
    CONSTRAINT times_are_ordered CHECK (created_at <= updated_at)
);
CREATE INDEX intents_state ON trading.intents (state);
CREATE TRIGGER check_fence BEFORE INSERT ON trading.intents FOR EACH ROW EXECUTE FUNCTION ops.check_fence();
COMMENT ON TABLE trading.intents IS 'One row per bracket that the router accepted, written before anything of it is sent';
COMMENT ON COLUMN trading.intents.bracket_id IS 'The bracket; asked for again, this row answers';
COMMENT ON COLUMN trading.intents.payload IS 'The request as it was received, to the byte';
COMMENT ON COLUMN trading.intents.plan IS 'The orders it was turned into, rounded by the filters of that moment';
COMMENT ON COLUMN trading.intents.lease_name IS 'Lease under which it was written (ops.leases)';
COMMENT ON COLUMN trading.intents.lease_token IS 'Its token, the valid one when the row was written';
COMMENT ON COLUMN trading.intents.state IS 'Where the bracket stands';
COMMENT ON COLUMN trading.intents.reason IS 'Why it stands there, in words; null = as planned';
COMMENT ON COLUMN trading.intents.created_at IS 'When it was accepted';
COMMENT ON COLUMN trading.intents.updated_at IS 'When its state last changed';

CREATE TABLE trading.orders (
    order_id          uuid PRIMARY KEY,
    client_order_id   text COLLATE "C" NOT NULL,
    exchange_order_id text COLLATE "C",
    bracket_id        text COLLATE "C",
    account           text COLLATE "C" NOT NULL,
    profile           text COLLATE "C",
    venue             text COLLATE "C" NOT NULL,
    symbol            text COLLATE "C" NOT NULL,
    role              text COLLATE "C" NOT NULL,
    rung              integer NOT NULL,
    attempt           integer NOT NULL,
    side              text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    quantity          numeric NOT NULL,
    price             numeric,
    stop_price        numeric,
    reduce_only       boolean NOT NULL,
    filled_qty        numeric NOT NULL,
    avg_price         numeric,
    status            text COLLATE "C" NOT NULL,
    trace_id          text COLLATE "C",
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT client_order_id_is_unique UNIQUE (client_order_id),
    CONSTRAINT client_order_id_is_safe CHECK (client_order_id ~ '^[A-Za-z0-9_-]{1,36}$'),
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT account_has_a_name CHECK (account <> ''),
    CONSTRAINT role_known CHECK (role IN ('ENTRY', 'STOP', 'TAKE_PROFIT', 'EXIT')),
    CONSTRAINT rung_is_counted CHECK (rung >= 0),
    CONSTRAINT attempt_is_counted CHECK (attempt >= 0),
    CONSTRAINT side_known CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT type_is_a_word CHECK (type ~ '^[A-Z][A-Z_]{1,31}$'),
    CONSTRAINT quantity_is_positive CHECK (quantity > 0 AND quantity < 'Infinity'),
    CONSTRAINT price_is_positive CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT stop_price_is_positive CHECK (stop_price > 0 AND stop_price < 'Infinity'),
    CONSTRAINT filled_is_part_of_it CHECK (filled_qty >= 0 AND filled_qty <= quantity),
    CONSTRAINT avg_price_is_positive CHECK (avg_price > 0 AND avg_price < 'Infinity'),
    CONSTRAINT status_is_a_word CHECK (status ~ '^[A-Z][A-Z_]{1,31}$'),
    CONSTRAINT times_are_ordered CHECK (created_at <= updated_at)
);
CREATE UNIQUE INDEX orders_one_attempt_once ON trading.orders (bracket_id, role, rung, attempt) WHERE bracket_id IS NOT NULL;
CREATE INDEX orders_working ON trading.orders (venue, account, symbol)
    WHERE status NOT IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED');
CREATE INDEX orders_symbol_time ON trading.orders (symbol, created_at);
COMMENT ON TABLE trading.orders IS 'One row per order of ours, as it was last heard of';
COMMENT ON COLUMN trading.orders.order_id IS 'Our id';
COMMENT ON COLUMN trading.orders.client_order_id IS 'The id we gave it at the venue: a function of bracket, role, rung and attempt';
COMMENT ON COLUMN trading.orders.exchange_order_id IS 'The venue''s id; null = not told yet';
COMMENT ON COLUMN trading.orders.bracket_id IS 'Bracket it belongs to; null = it was placed alone';
COMMENT ON COLUMN trading.orders.account IS 'Account it was placed for';
COMMENT ON COLUMN trading.orders.profile IS 'Risk profile of its bracket; null = it was placed alone';
COMMENT ON COLUMN trading.orders.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN trading.orders.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN trading.orders.role IS 'ENTRY, STOP, TAKE_PROFIT or EXIT';
COMMENT ON COLUMN trading.orders.rung IS 'Rung of the ladder it serves, from 0; 0 for what serves the whole position';
COMMENT ON COLUMN trading.orders.attempt IS 'From 0; grows only after a known rejection or cancel';
COMMENT ON COLUMN trading.orders.side IS 'BUY or SELL';
COMMENT ON COLUMN trading.orders.type IS 'Type as the venue writes it, e.g. LIMIT or STOP_MARKET';
COMMENT ON COLUMN trading.orders.quantity IS 'In base units';
COMMENT ON COLUMN trading.orders.price IS 'Limit price; null = at market';
COMMENT ON COLUMN trading.orders.stop_price IS 'Price that triggers it; null = nothing does';
COMMENT ON COLUMN trading.orders.reduce_only IS 'Whether it can only make a position smaller';
COMMENT ON COLUMN trading.orders.filled_qty IS 'Filled so far, in base units';
COMMENT ON COLUMN trading.orders.avg_price IS 'Mean price of that, by quantity; null = nothing is filled';
COMMENT ON COLUMN trading.orders.status IS 'Its last known status; ended = FILLED, CANCELED, REJECTED or EXPIRED';
COMMENT ON COLUMN trading.orders.trace_id IS 'Trace it was placed in; null = none was kept';
COMMENT ON COLUMN trading.orders.created_at IS 'When it was written down, before it was sent';
COMMENT ON COLUMN trading.orders.updated_at IS 'When it was last heard of';

CREATE TABLE trading.order_events (
    order_id   uuid NOT NULL REFERENCES trading.orders,
    seq        integer NOT NULL,
    event_time timestamptz NOT NULL,
    type       text COLLATE "C" NOT NULL,
    payload    jsonb NOT NULL,
    PRIMARY KEY (order_id, seq),
    CONSTRAINT seq_is_counted CHECK (seq >= 0),
    CONSTRAINT type_known
        CHECK (type IN ('ACK', 'PARTIAL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'UNKNOWN')),
    CONSTRAINT payload_is_object CHECK (jsonb_typeof(payload) = 'object')
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON trading.order_events
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
ALTER TABLE trading.order_events ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TABLE trading.order_events IS 'One row per thing that happened to an order, never changed';
COMMENT ON COLUMN trading.order_events.order_id IS 'The order';
COMMENT ON COLUMN trading.order_events.seq IS 'Its number among the order''s events, in the order in which they were taken in';
COMMENT ON COLUMN trading.order_events.event_time IS 'When it happened, by the venue''s clock where that told it';
COMMENT ON COLUMN trading.order_events.type IS 'ACK, PARTIAL, FILLED, CANCELED, REJECTED, EXPIRED, or UNKNOWN = it is not known what became of it';
COMMENT ON COLUMN trading.order_events.payload IS 'What was received';

CREATE TABLE trading.fills (
    venue      text COLLATE "C" NOT NULL,
    account    text COLLATE "C" NOT NULL,
    symbol     text COLLATE "C" NOT NULL,
    trade_id   text COLLATE "C" NOT NULL,
    order_id   uuid NOT NULL REFERENCES trading.orders,
    bracket_id text COLLATE "C",
    qty        numeric NOT NULL,
    price      numeric NOT NULL,
    fee        numeric NOT NULL,
    fee_asset  text COLLATE "C",
    maker      boolean NOT NULL,
    ts         timestamptz NOT NULL,
    PRIMARY KEY (venue, account, symbol, trade_id),
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT trade_has_an_id CHECK (trade_id <> ''),
    CONSTRAINT qty_is_positive CHECK (qty > 0 AND qty < 'Infinity'),
    CONSTRAINT price_is_positive CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT fee_is_finite CHECK (fee > '-Infinity' AND fee < 'Infinity'),
    CONSTRAINT fee_has_an_asset CHECK (fee = 0 OR fee_asset IS NOT NULL)
);
CREATE INDEX fills_order ON trading.fills (order_id);
CREATE INDEX fills_bracket ON trading.fills (bracket_id);
COMMENT ON TABLE trading.fills IS 'One row per execution of an order of ours';
COMMENT ON COLUMN trading.fills.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN trading.fills.account IS 'Account it was for';
COMMENT ON COLUMN trading.fills.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN trading.fills.trade_id IS 'The venue''s id: the same execution is one row, however often it is told';
COMMENT ON COLUMN trading.fills.order_id IS 'The order';
COMMENT ON COLUMN trading.fills.bracket_id IS 'Bracket of the order; null = it was placed alone';
COMMENT ON COLUMN trading.fills.qty IS 'In base units';
COMMENT ON COLUMN trading.fills.price IS 'In quote units';
COMMENT ON COLUMN trading.fills.fee IS 'Paid in fee_asset; negative = received';
COMMENT ON COLUMN trading.fills.fee_asset IS 'Asset of the fee; null = there was none';
COMMENT ON COLUMN trading.fills.maker IS 'Whether our order rested in the book';
COMMENT ON COLUMN trading.fills.ts IS 'When, by the venue''s clock';

CREATE TABLE trading.positions (
    position_id    uuid PRIMARY KEY,
    venue          text COLLATE "C" NOT NULL,
    account        text COLLATE "C" NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    profile        text COLLATE "C",
    bracket_id     text COLLATE "C",
    side           text COLLATE "C" NOT NULL,
    size           numeric NOT NULL,
    entry_price    numeric NOT NULL,
    current_price  numeric,
    unrealized_pnl numeric,
    realized_pnl   numeric NOT NULL,
    stop_order_id  uuid REFERENCES trading.orders,
    opened_at      timestamptz NOT NULL,
    closed_at      timestamptz,
    CONSTRAINT bracket_id_is_hex CHECK (bracket_id ~ '^[0-9a-f]{24}$'),
    CONSTRAINT account_has_a_name CHECK (account <> ''),
    CONSTRAINT side_known CHECK (side IN ('LONG', 'SHORT')),
    CONSTRAINT size_is_finite CHECK (size >= 0 AND size < 'Infinity'),
    CONSTRAINT closed_is_flat CHECK (closed_at IS NULL OR size = 0),
    CONSTRAINT entry_price_is_positive CHECK (entry_price > 0 AND entry_price < 'Infinity'),
    CONSTRAINT current_price_is_positive CHECK (current_price > 0 AND current_price < 'Infinity'),
    CONSTRAINT pnl_is_finite CHECK (
        unrealized_pnl > '-Infinity' AND unrealized_pnl < 'Infinity'
        AND realized_pnl > '-Infinity' AND realized_pnl < 'Infinity'
    ),
    CONSTRAINT times_are_ordered CHECK (opened_at <= closed_at)
);
CREATE INDEX positions_open ON trading.positions (venue, account, symbol) WHERE closed_at IS NULL;
CREATE INDEX positions_bracket ON trading.positions (bracket_id);
COMMENT ON TABLE trading.positions IS 'One row per position, open or closed';
COMMENT ON COLUMN trading.positions.position_id IS 'Our id';
COMMENT ON COLUMN trading.positions.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN trading.positions.account IS 'Account that holds it';
COMMENT ON COLUMN trading.positions.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN trading.positions.profile IS 'Risk profile of its bracket; null = it was opened without one';
COMMENT ON COLUMN trading.positions.bracket_id IS 'Bracket that opened it; null = it was opened without one';
COMMENT ON COLUMN trading.positions.side IS 'LONG or SHORT';
COMMENT ON COLUMN trading.positions.size IS 'Held now, in base units; 0 when it is closed';
COMMENT ON COLUMN trading.positions.entry_price IS 'Mean price of its entries, by quantity';
COMMENT ON COLUMN trading.positions.current_price IS 'Price it was last valued at; null = not yet';
COMMENT ON COLUMN trading.positions.unrealized_pnl IS 'Result at that price, in quote units; null = not yet valued';
COMMENT ON COLUMN trading.positions.realized_pnl IS 'Result of what was left so far, after fees and funding, in quote units';
COMMENT ON COLUMN trading.positions.stop_order_id IS 'The stop that stands for it at the venue; null = none does';
COMMENT ON COLUMN trading.positions.opened_at IS 'When its first entry filled';
COMMENT ON COLUMN trading.positions.closed_at IS 'When the last of it was left; null = it is open';

-- A lone function, so that a row of the log can be tested against itself. Every part is written behind its length in
-- bytes: no two rows give the same text.
CREATE FUNCTION trading.audit_hash(seq bigint, at timestamptz, actor text, action text, payload jsonb, prev_hash text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(string_agg(
        octet_length(convert_to(part, 'UTF8')) || ':' || part || ',', '' ORDER BY place
    ), 'UTF8')), 'hex')
    FROM unnest(ARRAY[
        seq::text, (extract(epoch FROM at) * 1000000)::bigint::text, actor, action, payload::text, prev_hash
    ]) WITH ORDINALITY AS written (part, place)
$$;
COMMENT ON FUNCTION trading.audit_hash IS 'sha256 in hex over seq, at (microseconds since 1970), actor, action, payload and prev_hash, each as length in bytes, colon, text, comma';

CREATE TABLE trading.audit_log (
    seq       bigint PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text COLLATE "C" NOT NULL,
    action    text COLLATE "C" NOT NULL,
    payload   jsonb NOT NULL,
    prev_hash text COLLATE "C" NOT NULL,
    hash      text COLLATE "C" NOT NULL,
    CONSTRAINT seq_is_counted CHECK (seq > 0),
    CONSTRAINT actor_has_a_name CHECK (actor <> ''),
    CONSTRAINT action_has_a_name CHECK (action <> ''),
    CONSTRAINT payload_is_object CHECK (jsonb_typeof(payload) = 'object'),
    CONSTRAINT prev_hash_is_hex CHECK (prev_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT hash_is_its_own CHECK (hash = trading.audit_hash(seq, at, actor, action, payload, prev_hash))
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON trading.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
ALTER TABLE trading.audit_log ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TABLE trading.audit_log IS 'One row per act that somebody may be asked about, chained by hashes and never changed; written by append_audit alone';
COMMENT ON COLUMN trading.audit_log.seq IS 'Its number, from 1, without a hole';
COMMENT ON COLUMN trading.audit_log.at IS 'When it was written, by the clock of the database';
COMMENT ON COLUMN trading.audit_log.actor IS 'Who acted';
COMMENT ON COLUMN trading.audit_log.action IS 'What was done';
COMMENT ON COLUMN trading.audit_log.payload IS 'With what, and why';
COMMENT ON COLUMN trading.audit_log.prev_hash IS 'Hash of the row before; of the first row 64 zeros';
COMMENT ON COLUMN trading.audit_log.hash IS 'audit_hash of the row: whoever knows the last one knows that nothing before it was changed';

CREATE FUNCTION trading.append_audit(actor text, action text, payload jsonb, OUT seq bigint, OUT hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last trading.audit_log;
    written timestamptz;
BEGIN
    -- One writer at a time until its transaction ends: the row behind this one needs its hash. A lock of the table,
    -- which nobody can take without a privilege on it; readers do not wait.
    LOCK TABLE trading.audit_log IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO last FROM trading.audit_log AS log ORDER BY log.seq DESC LIMIT 1;
    last.hash := coalesce(last.hash, repeat('0', 64));
    written := clock_timestamp();
    append_audit.seq := coalesce(last.seq, 0) + 1;
    append_audit.hash := trading.audit_hash(
        append_audit.seq, written, append_audit.actor, append_audit.action, append_audit.payload, last.hash
    );
    INSERT INTO trading.audit_log VALUES (
        append_audit.seq, written, append_audit.actor, append_audit.action, append_audit.payload, last.hash,
        append_audit.hash
    );
END
$$;
COMMENT ON FUNCTION trading.append_audit IS 'Append one row to the audit log and return its number and hash; others wait until the transaction ends';
REVOKE EXECUTE ON FUNCTION trading.append_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trading.append_audit TO tidemark_router;

CREATE TABLE trading.trading_state (
    scope      text COLLATE "C" PRIMARY KEY,
    state      text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT scope_has_a_name CHECK (scope <> ''),
    CONSTRAINT state_known CHECK (state IN ('ACTIVE', 'REDUCING', 'HALTED')),
    CONSTRAINT reason_is_told CHECK (reason <> ''),
    CONSTRAINT actor_has_a_name CHECK (actor <> '')
);
CREATE FUNCTION trading.audit_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM trading.append_audit(NEW.actor, 'trading_state', jsonb_build_object(
        'scope', NEW.scope, 'from', OLD.state, 'to', NEW.state, 'reason', NEW.reason
    ));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION trading.audit_state IS 'Trigger: no state changes without a row of the audit log';
CREATE TRIGGER audit_state AFTER INSERT OR UPDATE ON trading.trading_state
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state();
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON trading.trading_state
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
COMMENT ON TABLE trading.trading_state IS 'One row per scope that ever had a state: the one it has now; the changes are in audit_log';
COMMENT ON COLUMN trading.trading_state.scope IS 'global, an account, a profile or a symbol; of those that concern an order the strictest state wins';
COMMENT ON COLUMN trading.trading_state.state IS 'ACTIVE, REDUCING = no entries, HALTED = entries cancelled and nothing new; stops always stay';
COMMENT ON COLUMN trading.trading_state.reason IS 'Why';
COMMENT ON COLUMN trading.trading_state.actor IS 'Who changed it: a person or a part of the platform';
COMMENT ON COLUMN trading.trading_state.changed_at IS 'When, by the clock of the database';
