-- What the platform promised of `research`, held by the tables themselves.

-- A study is bound by its first trial to its bars. Rows of before do not say whose they were.
ALTER TABLE research.trials ADD COLUMN series text[] COLLATE "C";
ALTER TABLE research.trials ADD COLUMN asked_from timestamptz;
ALTER TABLE research.trials ADD COLUMN asked_to timestamptz;
ALTER TABLE research.trials
    ADD CONSTRAINT has_series CHECK (cardinality(series) > 0),
    ADD CONSTRAINT begins_in_what_was_asked CHECK (asked_from <= from_ts AND from_ts < asked_to);
COMMENT ON COLUMN research.trials.series IS 'Series whose bars were read, as venue:symbol:tf, ascending; null = not known (recorded before this was kept)';
COMMENT ON COLUMN research.trials.asked_from IS 'First instant that was asked for; null = just the bars of the trial, or not known';
COMMENT ON COLUMN research.trials.asked_to IS 'Exclusive end that was asked for; null as in asked_from';
COMMENT ON COLUMN research.trials.from_ts IS 'When its account began: with the first bar, or later where that was asked';
COMMENT ON COLUMN research.trials.params IS 'What the search varied, with the values of this trial; what a profile is called is no part of a trial';

-- NaN stands above every number, and no limit from below keeps it out.
ALTER TABLE research.trials
    ADD CONSTRAINT sharpe_is_finite CHECK (sharpe > '-Infinity' AND sharpe < 'Infinity'),
    ADD CONSTRAINT returns_are_finite
        CHECK (NOT returns && ARRAY['NaN', 'Infinity', '-Infinity']::double precision[]);
ALTER TABLE research.backtest_equity
    ADD CONSTRAINT equity_is_finite CHECK (equity > '-Infinity' AND equity < 'Infinity'),
    ADD CONSTRAINT drawdown_is_finite CHECK (drawdown < 'Infinity');

-- Every version has the kind of the first one of its name: a name has one kind, whoever adds at the same time.
ALTER TABLE research.param_sets ADD COLUMN first_version integer NOT NULL GENERATED ALWAYS AS (1) STORED;
ALTER TABLE research.param_sets
    ADD CONSTRAINT version_of_a_kind UNIQUE (name, version, kind),
    ADD CONSTRAINT name_has_one_kind
        FOREIGN KEY (name, first_version, kind) REFERENCES research.param_sets (name, version, kind);
COMMENT ON COLUMN research.param_sets.first_version IS 'Always 1: what is referred to by every version, so that a name has one kind';

CREATE FUNCTION research.check_param_set() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    version text := NEW.name || '@' || NEW.version;
    follows text := CASE OLD.state
        WHEN 'draft' THEN 'candidate' WHEN 'candidate' THEN 'live' WHEN 'live' THEN 'retired' ELSE 'candidate' END;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            RAISE check_violation USING CONSTRAINT = 'begins_as_a_draft', MESSAGE =
                'begins_as_a_draft: ' || version || ' is to begin as ' || NEW.state || ', every version begins as a draft';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.name, NEW.version, NEW.kind, NEW.hash, NEW.params, NEW.author, NEW.note, NEW.created_at) IS DISTINCT FROM
       (OLD.name, OLD.version, OLD.kind, OLD.hash, OLD.params, OLD.author, OLD.note, OLD.created_at) THEN
        RAISE check_violation USING CONSTRAINT = 'values_never_change', MESSAGE =
            'values_never_change: of ' || version || ' only the state moves on; add another version';
    END IF;
    IF NEW.state <> follows THEN
        RAISE check_violation USING CONSTRAINT = 'one_step_at_a_time', MESSAGE =
            'one_step_at_a_time: ' || version || ' is ' || OLD.state || ', only ' || follows || ' follows, not ' ||
            NEW.state;
    END IF;
    IF NEW.state <> 'live' AND NEW.walk_forward IS DISTINCT FROM OLD.walk_forward THEN
        RAISE check_violation USING CONSTRAINT = 'proof_comes_with_live', MESSAGE =
            'proof_comes_with_live: the walk-forward of ' || version || ' changes only where it goes live';
    END IF;
    IF NEW.state = 'live' AND NOT EXISTS (
        SELECT FROM research.walk_forwards w
        WHERE w.run_id = NEW.walk_forward AND w.passed
          AND CASE NEW.kind WHEN 'profile' THEN w.profile_hash ELSE w.param_set END = NEW.hash
    ) THEN
        RAISE check_violation USING CONSTRAINT = 'live_is_proven_by_its_own', MESSAGE =
            'live_is_proven_by_its_own: no passed walk-forward of that name speaks for the values of ' || version;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER check_param_set BEFORE INSERT OR UPDATE ON research.param_sets
    FOR EACH ROW EXECUTE FUNCTION research.check_param_set();
