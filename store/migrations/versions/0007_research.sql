-- What was tried, on which candles and with which parameters, and what came of it. Results are added and never changed:
-- one that could be rewritten proves nothing. Only the state of a parameter set moves on.
-- Windows are half-open. Prices and money are exact decimals; ratios and statistics are floats; hashes are sha256 in hex.

CREATE SCHEMA research;
COMMENT ON SCHEMA research IS 'What was tried and what came of it: backtests, walk-forwards, every trial, versions of parameters';

CREATE TABLE research.backtest_runs (
    run_id         text COLLATE "C" PRIMARY KEY,
    profile        text COLLATE "C" NOT NULL,
    profile_hash   text COLLATE "C" NOT NULL,
    params         jsonb NOT NULL,
    param_set      text COLLATE "C" NOT NULL,
    symbols        text[] COLLATE "C" NOT NULL,
    series         text[] COLLATE "C" NOT NULL,
    from_ts        timestamptz NOT NULL,
    to_ts          timestamptz NOT NULL,
    dataset_id     text COLLATE "C" REFERENCES market.datasets,
    engine_version integer NOT NULL,
    config         jsonb NOT NULL,
    config_hash    text COLLATE "C" NOT NULL,
    metrics        jsonb NOT NULL,
    fingerprint    text COLLATE "C" NOT NULL,
    report_path    text,
    month          date,
    created_at     timestamptz NOT NULL,
    CONSTRAINT run_has_a_name CHECK (run_id <> ''),
    CONSTRAINT profile_hash_is_hex CHECK (profile_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT param_set_is_hex CHECK (param_set ~ '^[0-9a-f]{64}$'),
    CONSTRAINT config_hash_is_hex CHECK (config_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT fingerprint_is_hex CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    CONSTRAINT has_series CHECK (cardinality(symbols) > 0 AND cardinality(series) >= cardinality(symbols)),
    CONSTRAINT has_length CHECK (to_ts > from_ts),
    CONSTRAINT params_is_object CHECK (jsonb_typeof(params) = 'object'),
    CONSTRAINT config_is_object CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT metrics_is_object CHECK (jsonb_typeof(metrics) = 'object'),
    CONSTRAINT month_is_first_day CHECK (extract(day FROM month) = 1)
);
CREATE INDEX backtest_runs_profile_time ON research.backtest_runs (profile, created_at);
COMMENT ON TABLE research.backtest_runs IS 'One row per backtest, with everything needed to run it again';
COMMENT ON COLUMN research.backtest_runs.run_id IS 'Name of the run; the same name never stands for two results';
COMMENT ON COLUMN research.backtest_runs.profile IS 'Name of the risk profile';
COMMENT ON COLUMN research.backtest_runs.profile_hash IS 'Fingerprint of its values; in param_sets (kind profile) where it was kept';
COMMENT ON COLUMN research.backtest_runs.params IS 'Parameters of the engine';
COMMENT ON COLUMN research.backtest_runs.param_set IS 'Their fingerprint; in param_sets (kind engine) where they were kept';
COMMENT ON COLUMN research.backtest_runs.symbols IS 'Symbols of its series, ascending, each once';
COMMENT ON COLUMN research.backtest_runs.series IS 'Series whose bars were read, as venue:symbol:tf, ascending';
COMMENT ON COLUMN research.backtest_runs.from_ts IS 'Open time of the first bar';
COMMENT ON COLUMN research.backtest_runs.to_ts IS 'End of the last bar (exclusive)';
COMMENT ON COLUMN research.backtest_runs.dataset_id IS 'What it was made from (market.datasets); null = bars from elsewhere, named by the fingerprint alone';
COMMENT ON COLUMN research.backtest_runs.engine_version IS 'Version of the engine that gave the signals';
COMMENT ON COLUMN research.backtest_runs.config IS 'Everything that was asked beside the bars: profile, parameters, capital, rules, policy for ambiguous bars';
COMMENT ON COLUMN research.backtest_runs.config_hash IS 'Fingerprint of the configuration';
COMMENT ON COLUMN research.backtest_runs.metrics IS 'Metrics by name; null = not defined';
COMMENT ON COLUMN research.backtest_runs.fingerprint IS 'Fingerprint of the whole result: the same input gives the same one';
COMMENT ON COLUMN research.backtest_runs.report_path IS 'Where its page was written; null = it has none';
COMMENT ON COLUMN research.backtest_runs.month IS 'First day (UTC) of the month whose report it is; null = it belongs to no monthly report';
COMMENT ON COLUMN research.backtest_runs.created_at IS 'When it was run';

CREATE TABLE research.backtest_trades (
    run_id        text COLLATE "C" NOT NULL REFERENCES research.backtest_runs ON DELETE CASCADE,
    trade_id      bigint NOT NULL,
    signal_id     text COLLATE "C" NOT NULL,
    venue         text COLLATE "C" NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    tf            text COLLATE "C" NOT NULL,
    side          text COLLATE "C" NOT NULL,
    placed_ts     timestamptz NOT NULL,
    entry_ts      timestamptz NOT NULL,
    exit_ts       timestamptz NOT NULL,
    entry         numeric NOT NULL,
    exit          numeric NOT NULL,
    stop          numeric NOT NULL,
    qty           numeric NOT NULL,
    notional      numeric NOT NULL,
    r             double precision NOT NULL,
    pnl           numeric NOT NULL,
    fees          numeric NOT NULL,
    funding       numeric NOT NULL,
    exit_reason   text COLLATE "C" NOT NULL,
    guesses       integer NOT NULL,
    ambiguous     boolean NOT NULL,
    mfe_r         double precision NOT NULL,
    mae_r         double precision NOT NULL,
    regime        text COLLATE "C",
    zone_strength smallint,
    PRIMARY KEY (run_id, trade_id),
    CONSTRAINT tf_known CHECK (tf IN ('1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d')),
    CONSTRAINT side_known CHECK (side IN ('LONG', 'SHORT')),
    CONSTRAINT exit_reason_known
        CHECK (exit_reason IN ('STOP', 'BREAKEVEN', 'TRAIL', 'TARGET', 'TIME', 'LIQUIDATION', 'END')),
    CONSTRAINT regime_known CHECK (regime IN ('SHOCK', 'TREND', 'RANGE')),
    CONSTRAINT times_are_ordered CHECK (placed_ts <= entry_ts AND entry_ts <= exit_ts),
    CONSTRAINT entry_is_positive CHECK (entry > 0 AND qty > 0),
    CONSTRAINT ambiguous_by_its_guesses CHECK (guesses >= 0 AND ambiguous = (guesses > 0))
);
CREATE INDEX backtest_trades_symbol_tf_time ON research.backtest_trades (symbol, tf, entry_ts);
COMMENT ON TABLE research.backtest_trades IS 'One row per position that a backtest opened';
COMMENT ON COLUMN research.backtest_trades.run_id IS 'The run it belongs to';
COMMENT ON COLUMN research.backtest_trades.trade_id IS 'Its number in the run, from 0, in the order in which positions ended';
COMMENT ON COLUMN research.backtest_trades.signal_id IS 'Signal it was opened by';
COMMENT ON COLUMN research.backtest_trades.venue IS 'binance_spot or binance_usdm';
COMMENT ON COLUMN research.backtest_trades.symbol IS 'Symbol as the venue writes it';
COMMENT ON COLUMN research.backtest_trades.tf IS 'Timeframe of the signal';
COMMENT ON COLUMN research.backtest_trades.side IS 'LONG or SHORT';
COMMENT ON COLUMN research.backtest_trades.placed_ts IS 'When its order was placed';
COMMENT ON COLUMN research.backtest_trades.entry_ts IS 'When it was entered';
COMMENT ON COLUMN research.backtest_trades.exit_ts IS 'When the last of it was left';
COMMENT ON COLUMN research.backtest_trades.entry IS 'Price it was entered at';
COMMENT ON COLUMN research.backtest_trades.exit IS 'Mean price of its exits, by quantity';
COMMENT ON COLUMN research.backtest_trades.stop IS 'Stop as it was placed; where it went later is not told';
COMMENT ON COLUMN research.backtest_trades.qty IS 'Quantity entered, in base units';
COMMENT ON COLUMN research.backtest_trades.notional IS 'entry × qty, in quote units';
COMMENT ON COLUMN research.backtest_trades.r IS 'Result in units of the risk taken, after all costs';
COMMENT ON COLUMN research.backtest_trades.pnl IS 'Result in quote units, after all costs';
COMMENT ON COLUMN research.backtest_trades.fees IS 'Fees paid, in quote units';
COMMENT ON COLUMN research.backtest_trades.funding IS 'Funding paid, in quote units; negative = received';
COMMENT ON COLUMN research.backtest_trades.exit_reason IS 'STOP, BREAKEVEN, TRAIL, TARGET, TIME, LIQUIDATION, or END = the bars ended';
COMMENT ON COLUMN research.backtest_trades.guesses IS 'Bars that could not tell what came first, so that the policy decided';
COMMENT ON COLUMN research.backtest_trades.ambiguous IS 'Whether there was such a bar';
COMMENT ON COLUMN research.backtest_trades.mfe_r IS 'Furthest price went for it, in R';
COMMENT ON COLUMN research.backtest_trades.mae_r IS 'Furthest price went against it, in R; negative';
COMMENT ON COLUMN research.backtest_trades.regime IS 'Regime at its signal: SHOCK, TREND or RANGE; null = not known';
COMMENT ON COLUMN research.backtest_trades.zone_strength IS 'Strength of the zone of its signal; null = no zone';

CREATE TABLE research.backtest_equity (
    run_id   text COLLATE "C" NOT NULL REFERENCES research.backtest_runs ON DELETE CASCADE,
    ts       timestamptz NOT NULL,
    equity   numeric NOT NULL,
    drawdown double precision NOT NULL,
    PRIMARY KEY (run_id, ts),
    CONSTRAINT drawdown_is_a_loss CHECK (drawdown >= 0)
);
COMMENT ON TABLE research.backtest_equity IS 'The account of a backtest at regular instants and at the end';
COMMENT ON COLUMN research.backtest_equity.run_id IS 'The run it belongs to';
COMMENT ON COLUMN research.backtest_equity.ts IS 'As of this instant';
COMMENT ON COLUMN research.backtest_equity.equity IS 'In quote units, open positions at the last close';
COMMENT ON COLUMN research.backtest_equity.drawdown IS 'Fraction below the highest equity so far; 0 = at it';

CREATE TABLE research.trials (
    study          text COLLATE "C" NOT NULL,
    trial_id       text COLLATE "C" NOT NULL,
    params         jsonb NOT NULL,
    sharpe         double precision,
    metrics        jsonb NOT NULL,
    returns        double precision[] NOT NULL,
    from_ts        timestamptz NOT NULL,
    to_ts          timestamptz NOT NULL,
    dataset_id     text COLLATE "C" REFERENCES market.datasets,
    engine_version integer NOT NULL,
    fingerprint    text COLLATE "C" NOT NULL,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (study, trial_id),
    CONSTRAINT study_has_a_name CHECK (study <> ''),
    CONSTRAINT trial_id_is_hex CHECK (trial_id ~ '^[0-9a-f]{64}$'),
    CONSTRAINT fingerprint_is_hex CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    CONSTRAINT has_length CHECK (to_ts > from_ts),
    CONSTRAINT params_is_object CHECK (jsonb_typeof(params) = 'object'),
    CONSTRAINT metrics_is_object CHECK (jsonb_typeof(metrics) = 'object'),
    CONSTRAINT returns_are_known CHECK (array_position(returns, NULL) IS NULL)
);
COMMENT ON TABLE research.trials IS 'One row per configuration that a study ever evaluated, the bad ones too: how many there were decides what the best is worth';
COMMENT ON COLUMN research.trials.study IS 'Name of the search; a trial counts once in it';
COMMENT ON COLUMN research.trials.trial_id IS 'Fingerprint of the whole configuration and of the bars';
COMMENT ON COLUMN research.trials.params IS 'What the search varied, with the values of this trial';
COMMENT ON COLUMN research.trials.sharpe IS 'Sharpe ratio a year, of daily returns; null = not defined';
COMMENT ON COLUMN research.trials.metrics IS 'Metrics by name; null = not defined';
COMMENT ON COLUMN research.trials.returns IS 'Return of each UTC day, as a fraction, in the order of days';
COMMENT ON COLUMN research.trials.from_ts IS 'Open time of the first bar';
COMMENT ON COLUMN research.trials.to_ts IS 'End of the last bar (exclusive)';
COMMENT ON COLUMN research.trials.dataset_id IS 'What it was made from (market.datasets); null = bars from elsewhere';
COMMENT ON COLUMN research.trials.engine_version IS 'Version of the engine that gave the signals';
COMMENT ON COLUMN research.trials.fingerprint IS 'Fingerprint of the whole result: the same trial gives the same one';
COMMENT ON COLUMN research.trials.created_at IS 'When it was first evaluated';

CREATE TABLE research.walk_forwards (
    run_id         text COLLATE "C" PRIMARY KEY,
    mode           text COLLATE "C" NOT NULL,
    profile        text COLLATE "C" NOT NULL,
    profile_hash   text COLLATE "C",
    param_set      text COLLATE "C",
    symbols        text[] COLLATE "C" NOT NULL,
    series         text[] COLLATE "C" NOT NULL,
    from_ts        timestamptz NOT NULL,
    to_ts          timestamptz NOT NULL,
    dataset_id     text COLLATE "C" REFERENCES market.datasets,
    engine_version integer NOT NULL,
    config         jsonb NOT NULL,
    config_hash    text COLLATE "C" NOT NULL,
    metrics        jsonb NOT NULL,
    passed         boolean NOT NULL,
    verdict        text NOT NULL,
    fingerprint    text COLLATE "C" NOT NULL,
    report_path    text,
    month          date,
    created_at     timestamptz NOT NULL,
    CONSTRAINT run_has_a_name CHECK (run_id <> ''),
    CONSTRAINT mode_known CHECK (mode IN ('anchored', 'rolling')),
    CONSTRAINT profile_hash_is_hex CHECK (profile_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT param_set_is_hex CHECK (param_set ~ '^[0-9a-f]{64}$'),
    CONSTRAINT config_hash_is_hex CHECK (config_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT fingerprint_is_hex CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    CONSTRAINT has_series CHECK (cardinality(symbols) > 0 AND cardinality(series) >= cardinality(symbols)),
    CONSTRAINT has_length CHECK (to_ts > from_ts),
    CONSTRAINT config_is_object CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT metrics_is_object CHECK (jsonb_typeof(metrics) = 'object'),
    CONSTRAINT month_is_first_day CHECK (extract(day FROM month) = 1)
);
CREATE INDEX walk_forwards_profile_hash ON research.walk_forwards (profile_hash, created_at) WHERE passed;
CREATE INDEX walk_forwards_param_set ON research.walk_forwards (param_set, created_at) WHERE passed;
COMMENT ON TABLE research.walk_forwards IS 'One row per walk-forward: what it speaks for and whether that stood the test; its folds are in walk_forward_folds';
COMMENT ON COLUMN research.walk_forwards.run_id IS 'Name of the run; the same name never stands for two results';
COMMENT ON COLUMN research.walk_forwards.mode IS 'anchored = every training window begins at the start; rolling = they move with the test';
COMMENT ON COLUMN research.walk_forwards.profile IS 'Name of the risk profile';
COMMENT ON COLUMN research.walk_forwards.profile_hash IS 'Fingerprint of the profile it speaks for; null = the folds chose profiles of their own, it speaks for none';
COMMENT ON COLUMN research.walk_forwards.param_set IS 'Fingerprint of the engine''s parameters it speaks for; null = the folds chose parameters of their own, it speaks for none';
COMMENT ON COLUMN research.walk_forwards.symbols IS 'Symbols of its series, ascending, each once';
COMMENT ON COLUMN research.walk_forwards.series IS 'Series whose bars were read, as venue:symbol:tf, ascending';
COMMENT ON COLUMN research.walk_forwards.from_ts IS 'Open time of the first bar';
COMMENT ON COLUMN research.walk_forwards.to_ts IS 'End of the last bar (exclusive)';
COMMENT ON COLUMN research.walk_forwards.dataset_id IS 'What it was made from (market.datasets); null = bars from elsewhere, named by the fingerprint alone';
COMMENT ON COLUMN research.walk_forwards.engine_version IS 'Version of the engine that gave the signals';
COMMENT ON COLUMN research.walk_forwards.config IS 'Everything that was asked beside the bars: windows, purge, embargo, search, conditions for passing';
COMMENT ON COLUMN research.walk_forwards.config_hash IS 'Fingerprint of the configuration';
COMMENT ON COLUMN research.walk_forwards.metrics IS 'Metrics of all test windows put together, by name; null = not defined';
COMMENT ON COLUMN research.walk_forwards.passed IS 'Whether it met the conditions for passing; without a passed one nothing goes live';
COMMENT ON COLUMN research.walk_forwards.verdict IS 'Why it passed or not, for people';
COMMENT ON COLUMN research.walk_forwards.fingerprint IS 'Fingerprint of the whole result: the same input gives the same one';
COMMENT ON COLUMN research.walk_forwards.report_path IS 'Where its page was written; null = it has none';
COMMENT ON COLUMN research.walk_forwards.month IS 'First day (UTC) of the month whose report it is; null = it belongs to no monthly report';
COMMENT ON COLUMN research.walk_forwards.created_at IS 'When it was run';

CREATE TABLE research.walk_forward_folds (
    run_id        text COLLATE "C" NOT NULL REFERENCES research.walk_forwards ON DELETE CASCADE,
    fold          integer NOT NULL,
    train_from    timestamptz NOT NULL,
    train_to      timestamptz NOT NULL,
    test_from     timestamptz NOT NULL,
    test_to       timestamptz NOT NULL,
    study         text COLLATE "C",
    params        jsonb NOT NULL,
    trial_id      text COLLATE "C" NOT NULL,
    in_sample     jsonb NOT NULL,
    out_of_sample jsonb NOT NULL,
    passed        boolean NOT NULL,
    PRIMARY KEY (run_id, fold),
    CONSTRAINT counted_from_zero CHECK (fold >= 0),
    CONSTRAINT trial_id_is_hex CHECK (trial_id ~ '^[0-9a-f]{64}$'),
    CONSTRAINT windows_are_ordered CHECK (train_from < train_to AND train_to <= test_from AND test_from < test_to),
    CONSTRAINT params_is_object CHECK (jsonb_typeof(params) = 'object'),
    CONSTRAINT in_sample_is_object CHECK (jsonb_typeof(in_sample) = 'object'),
    CONSTRAINT out_of_sample_is_object CHECK (jsonb_typeof(out_of_sample) = 'object')
);
COMMENT ON TABLE research.walk_forward_folds IS 'One row per fold of a walk-forward: chosen in the training window, judged in the test window';
COMMENT ON COLUMN research.walk_forward_folds.run_id IS 'The walk-forward it belongs to';
COMMENT ON COLUMN research.walk_forward_folds.fold IS 'Its number, from 0, in the order of test windows';
COMMENT ON COLUMN research.walk_forward_folds.train_from IS 'First instant of the training window';
COMMENT ON COLUMN research.walk_forward_folds.train_to IS 'Its exclusive end; what is left out before the test is the purge';
COMMENT ON COLUMN research.walk_forward_folds.test_from IS 'First instant of the test window';
COMMENT ON COLUMN research.walk_forward_folds.test_to IS 'Its exclusive end';
COMMENT ON COLUMN research.walk_forward_folds.study IS 'Study that holds the trials that were chosen from; null = none were recorded';
COMMENT ON COLUMN research.walk_forward_folds.params IS 'What the search varied, with the values that were chosen';
COMMENT ON COLUMN research.walk_forward_folds.trial_id IS 'The trial that was chosen: fingerprint of its configuration and of the training bars';
COMMENT ON COLUMN research.walk_forward_folds.in_sample IS 'Metrics in the training window, by name; null = not defined';
COMMENT ON COLUMN research.walk_forward_folds.out_of_sample IS 'Metrics in the test window, by name; null = not defined';
COMMENT ON COLUMN research.walk_forward_folds.passed IS 'Whether this fold met the conditions for passing';

CREATE TABLE research.param_sets (
    name         text COLLATE "C" NOT NULL,
    version      integer NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    hash         text COLLATE "C" NOT NULL,
    params       jsonb NOT NULL,
    state        text COLLATE "C" NOT NULL,
    author       text NOT NULL,
    note         text NOT NULL,
    evidence     jsonb NOT NULL,
    walk_forward text COLLATE "C" REFERENCES research.walk_forwards,
    created_at   timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (name, version),
    CONSTRAINT param_sets_once UNIQUE (kind, hash),
    CONSTRAINT has_a_name CHECK (name <> ''),
    CONSTRAINT counted_from_one CHECK (version > 0),
    CONSTRAINT kind_known CHECK (kind IN ('engine', 'profile')),
    CONSTRAINT hash_is_hex CHECK (hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT params_is_object CHECK (jsonb_typeof(params) = 'object'),
    CONSTRAINT evidence_is_object CHECK (jsonb_typeof(evidence) = 'object'),
    CONSTRAINT state_known CHECK (state IN ('draft', 'candidate', 'live', 'retired')),
    CONSTRAINT live_is_proven CHECK (walk_forward IS NOT NULL OR state IN ('draft', 'candidate')),
    CONSTRAINT draft_never_was_live CHECK (walk_forward IS NULL OR state <> 'draft')
);
CREATE UNIQUE INDEX param_sets_one_live ON research.param_sets (name) WHERE state = 'live';
COMMENT ON TABLE research.param_sets IS 'One row per version of engine parameters or of a risk profile: its values never change, its state moves on';
COMMENT ON COLUMN research.param_sets.name IS 'Name of the set; belongs to one kind';
COMMENT ON COLUMN research.param_sets.version IS 'Counted from 1 within the name';
COMMENT ON COLUMN research.param_sets.kind IS 'engine = parameters of the engine; profile = a risk profile';
COMMENT ON COLUMN research.param_sets.hash IS 'Fingerprint of the values: what backtests and decisions name';
COMMENT ON COLUMN research.param_sets.params IS 'The values';
COMMENT ON COLUMN research.param_sets.state IS 'draft, candidate, live (at most one of a name) or retired, in this order; a retired one may become a candidate again';
COMMENT ON COLUMN research.param_sets.author IS 'Who made it';
COMMENT ON COLUMN research.param_sets.note IS 'What it is for';
COMMENT ON COLUMN research.param_sets.evidence IS 'For each state it reached after draft, the last time: when (at) and what was put forward for it';
COMMENT ON COLUMN research.param_sets.walk_forward IS 'The passed walk-forward it last went live on; null = it never was live';
COMMENT ON COLUMN research.param_sets.created_at IS 'When it was added';
COMMENT ON COLUMN research.param_sets.changed_at IS 'When its state last changed';
