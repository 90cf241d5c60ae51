"""Who may do what: the roles of the platform and their privileges, as data, applied by difference.

Nobody gets more than its process needs: batch writes market, analysis and research; the stream candles, holes, refused
rows, decisions and their outbox; the router alone orders, fills, positions and states of trading, in its own books and
in those of paper. The API reads; analysts read, too, but not the books, of which marts show what is theirs to see. No
one but the owner may delete candles, change revisions or results, or alter anything; of a version of parameters batch
moves the state alone, of an intent the router. The audit log has no writer: it grows through `append_audit`, which the
router may call. The schemas of dbt are batch's to fill: what it makes there is its own, and no grant made by it is
touched here.
Roles belong to the whole server, grants to one database: `create_roles` runs once a server, `apply_grants` in every
database. A table that a later migration adds is added here in the same commit; a test tries every role on everything.

    create_roles(admin_connection, {"tidemark_batch": password})
    apply_grants(owner_connection)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

import psycopg
from psycopg import sql

OWNER: Final = "tidemark_owner"
BATCH: Final = "tidemark_batch"
STREAM: Final = "tidemark_stream"
ROUTER: Final = "tidemark_router"
API: Final = "tidemark_api"
ANALYST: Final = "tidemark_analyst"
DAGSTER: Final = "tidemark_dagster"

# Those that work in the platform's database; `tidemark_dagster` has a database of its own and enters no other.
PLATFORM_ROLES: Final = (OWNER, BATCH, STREAM, ROUTER, API, ANALYST)
ROLES: Final = (*PLATFORM_ROLES, DAGSTER)

_LIMITS: Final[dict[str, tuple[LiteralString, ...]]] = {
    ANALYST: ("CONNECTION LIMIT 5",),
}
_ROLE_SETTINGS: Final[dict[str, dict[str, str]]] = {
    # Read-only by default makes the mistake friendly; what makes it impossible are the missing privileges.
    ANALYST: {"statement_timeout": "60s", "default_transaction_read_only": "on"},
}

_READ: Final = frozenset({"SELECT"})
_APPEND: Final = frozenset({"SELECT", "INSERT"})
_UPSERT: Final = frozenset({"SELECT", "INSERT", "UPDATE"})
_REPLACE: Final = frozenset({"SELECT", "INSERT", "DELETE"})
_KEEP: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

# Live trading and the paper broker: the same tables, so the same privileges.
_BOOKS: Final = ("trading", "paper")


def _of_both(tables: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {f"{schema}.{table}": privileges for schema in _BOOKS for table, privileges in tables.items()}


_READ_BOOKS: Final = _of_both(
    {
        "decisions": _READ,
        "outbox": _READ,
        "intents": _READ,
        "orders": _READ,
        "order_events": _READ,
        "fills": _READ,
        "positions": _READ,
        "trading_state": _READ,
        "audit_log": _READ,
    }
)

# role -> schema.table -> privileges
GRANTS: Final[dict[str, dict[str, frozenset[str]]]] = {
    BATCH: {
        "market.instruments": _UPSERT,
        "market.series": _UPSERT,
        "market.candles": _UPSERT,
        "market.candle_revisions": _APPEND,
        "market.candle_gaps": _KEEP,
        "market.quarantine": _APPEND,
        "market.archive_files": _UPSERT,
        "market.candle_digests": _UPSERT,
        "market.exchange_rules": _APPEND,
        "market.funding_rates": _UPSERT,
        "market.funding_revisions": _APPEND,
        "market.calendar_events": _UPSERT,
        "market.calendar_refused": _APPEND,
        "market.datasets": _APPEND,
        "analysis.engines": _UPSERT,
        "analysis.indicators": _REPLACE,
        "analysis.regimes": _REPLACE,
        "analysis.swings": _REPLACE,
        "analysis.smc_events": _REPLACE,
        "analysis.liquidity_events": _REPLACE,
        "analysis.zone_events": _REPLACE,
        "analysis.zones": _KEEP,
        "analysis.inversions": _KEEP,
        "analysis.signals_raw": _REPLACE,
        "analysis.bot_quarantine": _UPSERT,
        "analysis.engine_snapshots": _KEEP,
        "research.backtest_runs": _APPEND,
        "research.backtest_trades": _APPEND,
        "research.backtest_equity": _APPEND,
        "research.trials": _APPEND,
        "research.walk_forwards": _APPEND,
        "research.walk_forward_folds": _APPEND,
        "research.param_sets": _APPEND,
        # What the marts read, and the audit log to prove it.
        **_of_both({"decisions": _READ, "orders": _READ, "fills": _READ, "positions": _READ, "audit_log": _READ}),
        "ops.alembic_version": _READ,
    },
    STREAM: {
        "market.instruments": _READ,
        "market.series": _READ,
        "market.candles": _UPSERT,
        "market.candle_revisions": _APPEND,
        "market.candle_gaps": _KEEP,
        "market.quarantine": _APPEND,
        "market.candle_digests": _READ,
        "market.exchange_rules": _READ,
        "market.funding_rates": _READ,
        "market.calendar_events": _READ,
        "analysis.engines": _READ,
        "analysis.engine_snapshots": _READ,
        **_of_both(
            {
                "decisions": _APPEND,
                "outbox": _UPSERT,
                # What an evaluation is given of the account.
                "orders": _READ,
                "fills": _READ,
                "positions": _READ,
                "trading_state": _READ,
            }
        ),
        "ops.alembic_version": _READ,
    },
    ROUTER: {
        "market.instruments": _READ,
        "market.series": _READ,
        "market.candles": _READ,
        "market.exchange_rules": _READ,
        "market.funding_rates": _READ,
        "market.calendar_events": _READ,
        **_of_both(
            {
                "decisions": _READ,
                "outbox": _READ,
                "intents": _APPEND,
                "orders": _UPSERT,
                "order_events": _APPEND,
                "fills": _APPEND,
                "positions": _UPSERT,
                "trading_state": _UPSERT,
                "audit_log": _READ,
            }
        ),
        "ops.leases": _UPSERT,
        "ops.alembic_version": _READ,
    },
    API: {
        "market.instruments": _READ,
        "market.series": _READ,
        "market.candles": _READ,
        "market.candle_gaps": _READ,
        "market.candle_digests": _READ,
        "market.exchange_rules": _READ,
        "market.funding_rates": _READ,
        "market.calendar_events": _READ,
        "market.datasets": _READ,
        "analysis.engines": _READ,
        "analysis.indicators": _READ,
        "analysis.regimes": _READ,
        "analysis.swings": _READ,
        "analysis.smc_events": _READ,
        "analysis.liquidity_events": _READ,
        "analysis.zone_events": _READ,
        "analysis.zones": _READ,
        "analysis.inversions": _READ,
        "analysis.signals_raw": _READ,
        "analysis.bot_quarantine": _READ,
        **_READ_BOOKS,
        "ops.leases": _READ,
        "ops.alembic_version": _READ,
    },
    ANALYST: {
        "market.instruments": _READ,
        "market.series": _READ,
        "market.candles": _READ,
        "market.candle_revisions": _READ,
        "market.candle_gaps": _READ,
        "market.quarantine": _READ,
        "market.archive_files": _READ,
        "market.candle_digests": _READ,
        "market.exchange_rules": _READ,
        "market.funding_rates": _READ,
        "market.funding_revisions": _READ,
        "market.calendar_events": _READ,
        "market.calendar_refused": _READ,
        "market.datasets": _READ,
        "analysis.engines": _READ,
        "analysis.indicators": _READ,
        "analysis.regimes": _READ,
        "analysis.swings": _READ,
        "analysis.smc_events": _READ,
        "analysis.liquidity_events": _READ,
        "analysis.zone_events": _READ,
        "analysis.zones": _READ,
        "analysis.inversions": _READ,
        "analysis.signals_raw": _READ,
        "analysis.bot_quarantine": _READ,
        "analysis.engine_snapshots": _READ,
        "research.backtest_runs": _READ,
        "research.backtest_trades": _READ,
        "research.backtest_equity": _READ,
        "research.trials": _READ,
        "research.walk_forwards": _READ,
        "research.walk_forward_folds": _READ,
        "research.param_sets": _READ,
    },
}

# role -> schema.table -> columns that it may UPDATE, where it may not all of them.
COLUMN_UPDATES: Final[dict[str, dict[str, frozenset[str]]]] = {
    BATCH: {"research.param_sets": frozenset({"state", "changed_at", "evidence", "walk_forward"})},
    # What was accepted, and under which lease, stays as it was written before anything was sent.
    ROUTER: {f"{schema}.intents": frozenset({"state", "reason", "updated_at"}) for schema in _BOOKS},
}

# role -> schema -> privileges, beyond the USAGE that follows from its tables. What dbt makes there belongs to batch,
# and dbt itself grants it.
SCHEMA_GRANTS: Final[dict[str, dict[str, frozenset[str]]]] = {
    BATCH: {"staging": frozenset({"USAGE", "CREATE"}), "marts": frozenset({"USAGE", "CREATE"})},
    API: {"marts": frozenset({"USAGE"})},
    ANALYST: {"marts": frozenset({"USAGE"})},
}

# Bulk work stages rows in temporary tables.
_MAY_MAKE_TEMPORARY_TABLES: Final = frozenset({BATCH, STREAM})


def create_roles(conn: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Make the missing roles and set the given passwords; nothing else of an existing role changes.

    A role without a password cannot log in. The owner is marked as able to log in all the same: TimescaleDB runs
    compression jobs as the owner of the table and asks for that mark; without a password SCRAM lets nobody in by it.

    Args:
        conn: A connection that may create roles, inside a transaction or not.
        passwords: Role → password, for the roles that shall be able to log in.
    """
    existing = {str(row[0]) for row in conn.execute("SELECT rolname FROM pg_roles").fetchall()}
    for role in ROLES:
        name = sql.Identifier(role)
        if role not in existing:
            login = sql.SQL("LOGIN" if role == OWNER or role in passwords else "NOLOGIN")
            limits = sql.SQL(" ").join(sql.SQL(limit) for limit in _LIMITS.get(role, ()))
            conn.execute(sql.SQL("CREATE ROLE {} {} {}").format(name, login, limits))
            for setting, value in _ROLE_SETTINGS.get(role, {}).items():
                conn.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
                )
        if role in passwords:
            # Hashed here, so that no log of the server ever holds the password itself.
            encoding = conn.info.encoding
            verifier = conn.pgconn.encrypt_password(
                passwords[role].encode(encoding), role.encode(encoding), b"scram-sha-256"
            ).decode()
            conn.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(verifier)))
    _join_owners(conn)


def _join_owners(conn: psycopg.Connection) -> None:
    """A hosted server's administrator is no superuser: it must be a member of a role to make things in its name."""
    row = conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row is not None and not row[0]:
        for role in (OWNER, DAGSTER):
            conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))


def apply_grants(conn: psycopg.Connection) -> None:
    """Make the privileges in this database exactly those of `GRANTS`: grant what is missing, revoke what is too much.

    Args:
        conn: A connection as `tidemark_owner` (or with its role set) to the platform's database.
    """
    with conn.transaction():
        grant_database(conn, conn.info.dbname)
        wanted = {
            (role, table, privilege)
            for role, tables in GRANTS.items()
            for table, privileges in tables.items()
            for privilege in privileges
        }
        wanted |= {(role, f"{table.partition('.')[0]}.", "USAGE") for role, table, _ in wanted}
        wanted |= {
            (role, f"{schema}.", privilege)
            for role, schemas in SCHEMA_GRANTS.items()
            for schema, privileges in schemas.items()
            for privilege in privileges
        }
        wanted |= {
            (role, f"{table}.{column}", "UPDATE")
            for role, tables in COLUMN_UPDATES.items()
            for table, columns in tables.items()
            for column in columns
        }
        for role, target, privilege in sorted(_present(conn) - wanted):
            conn.execute(sql.SQL("REVOKE {} FROM {}").format(_privilege(privilege, target), sql.Identifier(role)))
        # Looked at anew: what is taken of a table is taken of its columns, too.
        for role, target, privilege in sorted(wanted - _present(conn)):
            conn.execute(sql.SQL("GRANT {} TO {}").format(_privilege(privilege, target), sql.Identifier(role)))


def grant_database(conn: psycopg.Connection, name: str) -> None:
    """Let the platform's roles, and nobody else, enter the database `name`."""
    database = sql.Identifier(name)
    conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in PLATFORM_ROLES:
        privileges = sql.SQL("CONNECT, TEMPORARY" if role in _MAY_MAKE_TEMPORARY_TABLES else "CONNECT")
        conn.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(privileges, database, sql.Identifier(role)))


def _present(conn: psycopg.Connection) -> set[tuple[str, str, LiteralString]]:
    """What our roles (and everybody) hold now of what is the owner's: `schema.`, `schema.table` or one column of it."""
    rows = conn.execute(
        """
        SELECT coalesce(r.rolname, 'public'), held.target, held.privilege_type
        FROM (
            SELECT n.nspname || '.' || c.relname AS target, acl.grantee, acl.privilege_type
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) acl
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE '\\_timescaledb%%'
              AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = %(owner)s)
            UNION ALL
            SELECT n.nspname || '.' || c.relname || '.' || a.attname, acl.grantee, acl.privilege_type
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
                 aclexplode(a.attacl) acl
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE '\\_timescaledb%%'
              AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = %(owner)s)
            UNION ALL
            SELECT n.nspname || '.', acl.grantee, acl.privilege_type
            FROM pg_namespace n, aclexplode(n.nspacl) acl
            WHERE n.nspowner = (SELECT oid FROM pg_roles WHERE rolname = %(owner)s)
        ) held
        LEFT JOIN pg_roles r ON r.oid = held.grantee
        WHERE coalesce(r.rolname, 'public') <> %(owner)s
          AND (held.grantee = 0 OR r.rolname = ANY(%(ours)s))
        """,
        {"owner": OWNER, "ours": list(ROLES)},
    ).fetchall()
    return {(str(role), str(target), _PRIVILEGES[str(privilege)]) for role, target, privilege in rows}


# PostgreSQL's own words, mapped to themselves: what is read from the catalog never becomes SQL text unseen.
_PRIVILEGES: Final[dict[str, LiteralString]] = {
    "SELECT": "SELECT",
    "INSERT": "INSERT",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
    "TRUNCATE": "TRUNCATE",
    "REFERENCES": "REFERENCES",
    "TRIGGER": "TRIGGER",
    "MAINTAIN": "MAINTAIN",
    "USAGE": "USAGE",
    "CREATE": "CREATE",
}


def _privilege(privilege: LiteralString, target: str) -> sql.Composable:
    """`SELECT ON TABLE …`, of a schema `USAGE ON SCHEMA …`, of a column `UPDATE (…) ON TABLE …`."""
    schema, table, column = [*target.split("."), ""][:3]
    what: sql.Composable = sql.SQL(privilege)
    if not table:
        return sql.SQL("{} ON SCHEMA {}").format(what, sql.Identifier(schema))
    if column:
        what = sql.SQL("{} ({})").format(what, sql.Identifier(column))
    return sql.SQL("{} ON TABLE {}").format(what, sql.Identifier(schema, table))
