"""The tables of later parts as schema.md fixes them, and a few rows in them and in those of trading and research.

with psycopg.connect(database.admin_dsn, autocommit=True) as conn:
    conn.execute(TABLES)
    conn.execute(ROWS)
"""

# The columns that schema.md names, of its types, as far as the marts read them; a table may have more.
TABLES = """
    CREATE TABLE ops.parity_results (day date, venue text, symbol text, tf text, table_name text, rows_live bigint,
        rows_batch bigint, mismatches bigint, first_difference text);
    GRANT USAGE ON SCHEMA ops TO tidemark_batch;
    GRANT SELECT ON ops.parity_results TO tidemark_batch;
"""
# A long of 2 at 100, half of it sold at 103 and half at 104: +7, minus 0.4 of fees = 6.6; the risk was 4 = 1.65 R.
ROWS = """
    INSERT INTO trading.decisions (decision_id, bracket_id, ts, evaluated_at, book, account, profile, param_set,
        signal_id, venue, symbol, side, size, entry, sl, tp_ladder, risk, gates, context, rule_id, confidence, reason)
    VALUES
    (rpad('d1', 24, '0'), repeat('b1', 12), '2022-01-01 04:00+00', '2022-01-01 04:00:00.25+00', 'live', 'main', 'calm',
        repeat('b', 64), repeat('a', 24), 'binance_spot', 'BTCUSDT', 'BUY', 2, 100, 98,
        '[{"price": "103", "qty": "1"}, {"price": "104", "qty": "1"}]', '{"risk_amount": 4, "risk_reward": 3}',
        '[{"gate": "fresh", "passed": true}]', '{}', 'retest', 0.5, null),
    (rpad('d2', 24, '0'), repeat('b2', 12), '2022-01-01 16:00+00', '2022-01-01 16:00:00.5+00', 'live', 'main', 'calm',
        repeat('b', 64), repeat('b', 24), 'binance_spot', 'BTCUSDT', 'HOLD', 0, null, null, '[]', '{}',
        '[{"gate": "fresh", "passed": true}, {"gate": "tradable", "passed": false}]', '{}', 'retest', 0.5, 'tradable');
    INSERT INTO trading.orders (order_id, client_order_id, bracket_id, account, profile, venue, symbol, role, rung,
        attempt, side, type, quantity, reduce_only, filled_qty, status, created_at, updated_at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'entry', repeat('b1', 12), 'main', 'calm', 'binance_spot', 'BTCUSDT',
        'ENTRY', 0, 0, 'BUY', 'LIMIT', 2, false, 2, 'FILLED', '2022-01-01 04:00+00', '2022-01-01 04:01+00'),
    ('00000000-0000-0000-0000-000000000002', 'target', repeat('b1', 12), 'main', 'calm', 'binance_spot', 'BTCUSDT',
        'TAKE_PROFIT', 0, 0, 'SELL', 'LIMIT', 2, false, 2, 'FILLED', '2022-01-01 04:01+00', '2022-01-01 13:00+00');
    INSERT INTO trading.fills VALUES
    ('binance_spot', 'main', 'BTCUSDT', '1', '00000000-0000-0000-0000-000000000001', repeat('b1', 12), 2, 100, 0.2,
        'USDT', true, '2022-01-01 04:01+00'),
    ('binance_spot', 'main', 'BTCUSDT', '2', '00000000-0000-0000-0000-000000000002', repeat('b1', 12), 1, 103, 0.1,
        'USDT', true, '2022-01-01 12:00+00'),
    ('binance_spot', 'main', 'BTCUSDT', '3', '00000000-0000-0000-0000-000000000002', repeat('b1', 12), 1, 104, 0.1,
        'USDT', true, '2022-01-01 13:00+00');
    INSERT INTO trading.positions VALUES ('00000000-0000-0000-0000-00000000000a', 'binance_spot', 'main', 'BTCUSDT',
        'calm', repeat('b1', 12), 'LONG', 0, 100, 104, 0, 6.6, null, '2022-01-01 04:01+00', '2022-01-01 13:00+00');
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
