"""The tables of later parts as schema.md fixes them, and a few rows in them and in those that wait beside them.

with psycopg.connect(database.admin_dsn, autocommit=True) as conn:
    conn.execute(TABLES)
    conn.execute(ROWS)
"""

# The columns that schema.md names, of its types, as far as the marts read them; a table may have more.
TABLES = """
    CREATE SCHEMA IF NOT EXISTS trading; CREATE SCHEMA IF NOT EXISTS ops;
    CREATE TABLE trading.decisions (decision_id text PRIMARY KEY, bracket_id text, ts timestamptz,
        evaluated_at timestamptz, book text, account text, profile text, param_set text, signal_id text, venue text,
        symbol text, side text, size numeric, entry numeric, sl numeric, tp_ladder jsonb, risk jsonb, gates jsonb,
        context jsonb, rule_id text, confidence float8, reason text, dataset_id text, trace_id text);
    CREATE TABLE trading.orders (order_id uuid PRIMARY KEY, bracket_id text, account text, venue text, symbol text,
        role text, status text);
    CREATE TABLE trading.fills (venue text, account text, symbol text, trade_id text, order_id uuid, bracket_id text,
        qty numeric, price numeric, fee numeric, fee_asset text, maker bool, ts timestamptz);
    CREATE TABLE trading.positions (position_id uuid PRIMARY KEY, venue text, account text, symbol text, profile text,
        bracket_id text, side text, size numeric, entry_price numeric, current_price numeric, unrealized_pnl numeric,
        realized_pnl numeric, stop_order_id uuid, opened_at timestamptz, closed_at timestamptz);
    CREATE TABLE ops.parity_results (day date, venue text, symbol text, tf text, table_name text, rows_live bigint,
        rows_batch bigint, mismatches bigint, first_difference text);
    GRANT USAGE ON SCHEMA trading, ops TO tidemark_batch;
    GRANT SELECT ON ALL TABLES IN SCHEMA trading, ops TO tidemark_batch;
"""
# A long of 2 at 100, half of it sold at 103 and half at 104: +7, minus 0.4 of fees = 6.6; the risk was 4 = 1.65 R.
ROWS = """
    INSERT INTO trading.decisions (decision_id, bracket_id, ts, evaluated_at, book, account, profile, signal_id, venue,
        symbol, side, size, entry, sl, risk, gates) VALUES
    ('d1', 'b1', '2022-01-01 04:00+00', '2022-01-01 04:00:00.25+00', 'live', 'main', 'calm', repeat('a', 24),
        'binance_spot', 'BTCUSDT', 'BUY', 2, 100, 98, '{"risk_amount": 4, "risk_reward": 3}',
        '[{"gate": "fresh", "passed": true}]'),
    ('d2', 'b2', '2022-01-01 16:00+00', '2022-01-01 16:00:00.5+00', 'live', 'main', 'calm', repeat('b', 24),
        'binance_spot', 'BTCUSDT', 'HOLD', null, null, null, null,
        '[{"gate": "fresh", "passed": true}, {"gate": "tradable", "passed": false}]');
    INSERT INTO trading.orders VALUES
    ('00000000-0000-0000-0000-000000000001', 'b1', 'main', 'binance_spot', 'BTCUSDT', 'ENTRY', 'FILLED'),
    ('00000000-0000-0000-0000-000000000002', 'b1', 'main', 'binance_spot', 'BTCUSDT', 'TAKE_PROFIT', 'FILLED');
    INSERT INTO trading.fills VALUES
    ('binance_spot', 'main', 'BTCUSDT', '1', '00000000-0000-0000-0000-000000000001', 'b1', 2, 100, 0.2, 'USDT', true,
        '2022-01-01 04:01+00'),
    ('binance_spot', 'main', 'BTCUSDT', '2', '00000000-0000-0000-0000-000000000002', 'b1', 1, 103, 0.1, 'USDT', true,
        '2022-01-01 12:00+00'),
    ('binance_spot', 'main', 'BTCUSDT', '3', '00000000-0000-0000-0000-000000000002', 'b1', 1, 104, 0.1, 'USDT', true,
        '2022-01-01 13:00+00');
    INSERT INTO trading.positions VALUES ('00000000-0000-0000-0000-00000000000a', 'binance_spot', 'main', 'BTCUSDT',
        'calm', 'b1', 'LONG', 0, 100, 104, 0, 6.6, null, '2022-01-01 04:01+00', '2022-01-01 13:00+00');
    INSERT INTO research.backtest_runs (run_id, profile, profile_hash, params, param_set, symbols, series, from_ts,
        to_ts, engine_version, config, config_hash, metrics, fingerprint, created_at) VALUES
    ('run1', 'calm', repeat('a', 64), '{}', repeat('b', 64), '{BTCUSDT}', '{binance_spot:BTCUSDT:1h}', '2022-01-01',
        '2022-02-01', 2, '{}', repeat('c', 64), '{}', repeat('d', 64), '2022-02-01');
    INSERT INTO research.backtest_trades (run_id, trade_id, signal_id, venue, symbol, tf, side, placed_ts, entry_ts,
        exit_ts, entry, exit, stop, qty, notional, r, pnl, fees, funding, exit_reason, guesses, ambiguous, mfe_r,
        mae_r, regime, zone_strength) VALUES
    ('run1', 7, repeat('a', 24), 'binance_spot', 'BTCUSDT', '1h', 'LONG', '2022-01-01 04:00+00',
        '2022-01-01 04:00+00', '2022-01-01 12:00+00', 100, 98, 98, 1, 100, -1.1, -2.2, 0.2, 0, 'STOP', 0, false, 0.5,
        1, 'TREND', 5);
    INSERT INTO ops.parity_results VALUES ('2022-01-01', 'binance_spot', 'BTCUSDT', '1h', 'zones', 10, 8, 2, 'zone 3');
"""
