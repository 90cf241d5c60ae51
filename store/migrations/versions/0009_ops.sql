-- Who may act, and a word for what is never changed. Both schemas of trading rest on these.

CREATE FUNCTION ops.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE check_violation USING CONSTRAINT = 'append_only', MESSAGE =
        'append_only: ' || TG_OP || ' of ' || TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME ||
        ' is refused, whoever asks: what it tells has happened';
END
$$;
COMMENT ON FUNCTION ops.refuse_change IS 'Trigger: refuses the statement';

CREATE TABLE ops.leases (
    name        text COLLATE "C" PRIMARY KEY,
    holder      text COLLATE "C" NOT NULL,
    token       bigint NOT NULL,
    acquired_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT lease_has_a_name CHECK (name <> ''),
    CONSTRAINT holder_has_a_name CHECK (holder <> ''),
    CONSTRAINT token_is_positive CHECK (token > 0)
);
COMMENT ON TABLE ops.leases IS 'One row per work that one process at a time may do: who holds it now, or held it last';
COMMENT ON COLUMN ops.leases.name IS 'The work, e.g. router';
COMMENT ON COLUMN ops.leases.holder IS 'The process that holds it, or held it last';
COMMENT ON COLUMN ops.leases.token IS 'Fencing token: grows with every holder, and when it is given back; what comes with a smaller one is too late';
COMMENT ON COLUMN ops.leases.acquired_at IS 'When this holder got it, by the clock of the database';
COMMENT ON COLUMN ops.leases.expires_at IS 'From when on another may take it, by the clock of the database';

-- A token that began again would let somebody in who was shut out.
CREATE FUNCTION ops.check_lease() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.name <> OLD.name OR NEW.token < OLD.token
       OR NEW.token = OLD.token AND (NEW.holder, NEW.acquired_at) IS DISTINCT FROM (OLD.holder, OLD.acquired_at) THEN
        RAISE check_violation USING CONSTRAINT = 'tokens_grow', MESSAGE =
            'tokens_grow: lease ' || OLD.name || ' stands at token ' || OLD.token || ' of ' || OLD.holder ||
            ', another holder needs a greater one than ' || NEW.token;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION ops.check_lease IS 'Trigger: a lease changes hands only with a greater token';
CREATE TRIGGER check_lease BEFORE UPDATE ON ops.leases FOR EACH ROW EXECUTE FUNCTION ops.check_lease();
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON ops.leases
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- Until its transaction ends nobody takes the lease over: who does so later finds the row that was let in here.
CREATE FUNCTION ops.check_fence() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    valid bigint;
BEGIN
    SELECT held.token INTO valid FROM ops.leases held WHERE held.name = NEW.lease_name FOR SHARE;
    IF valid IS DISTINCT FROM NEW.lease_token THEN
        RAISE check_violation USING CONSTRAINT = 'lease_is_held', MESSAGE =
            concat('lease_is_held: token ', coalesce(NEW.lease_token::text, 'null'), ' of lease ', NEW.lease_name,
                   ' is not the valid one (', coalesce(valid::text, 'nobody ever held it'), '): stop what sends it');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION ops.check_fence IS 'Trigger: only with the token that is valid now (lease_name, lease_token) is a row let in';
