"""One process at a time does a work, and one that lost it is kept out: leases with fencing tokens.

A lease runs out unless it is renewed, and every holder has a token greater than all before it. What a holder writes
carries the token (`trading.intents`), and the database lets in only the valid one: a process that slept through its
own lease cannot do harm, however long it believes to hold it.
Invariant: the only clock is the database's; no two holders ever have the same token of a name.

    lease = acquire(conn, "router", holder=f"{host}:{pid}", ttl=timedelta(seconds=10))
    lease = renew(conn, lease, ttl=timedelta(seconds=10))       # LeaseLost: stop
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from store.connections import translated
from store.errors import LeaseHeld, LeaseLost


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was granted.

    Attributes:
        name: The work.
        holder: Who does it.
        token: Greater than every token of this name before.
        acquired_at: When the holder got it, by the database's clock.
        expires_at: From when on another may take it, by the database's clock; not to be compared with one's own. A
            holder stops by itself when `ttl` has passed since it last *asked* for the lease.
    """

    name: str
    holder: str
    token: int
    acquired_at: datetime
    expires_at: datetime


def acquire(conn: psycopg.Connection, name: str, *, holder: str, ttl: timedelta) -> Lease:
    """Take a lease that nobody has, or whose time is over.

    Args:
        conn: A connection in no transaction: others wait for the row until it is committed.
        name: The work.
        holder: Who asks; a name of this process and of no other. The same name is refused as any other is.
        ttl: How long it holds without being renewed.

    Raises:
        LeaseHeld: Somebody has it; `retry_after` tells for how long.
        ValueError: `ttl` is not positive.
        DatabaseUnavailable: It is not known whether it was granted; ask again after `ttl`.
    """
    _check(ttl)
    with translated("acquire the lease", key=name):
        row = conn.execute(
            """
            INSERT INTO ops.leases AS held (name, holder, token, acquired_at, expires_at)
            VALUES (%(name)s, %(holder)s, 1, clock_timestamp(), clock_timestamp() + %(ttl)s)
            ON CONFLICT (name) DO UPDATE
            -- Asked again here: whoever waited for the row has waited for it with an old clock.
            SET holder = EXCLUDED.holder, token = held.token + 1, acquired_at = clock_timestamp(),
                expires_at = clock_timestamp() + %(ttl)s
            WHERE held.expires_at <= clock_timestamp()
            RETURNING name, holder, token, acquired_at, expires_at
            """,
            {"name": name, "holder": holder, "ttl": ttl},
        ).fetchone()
        if row is not None:
            return Lease(*row)
        held = conn.execute(
            "SELECT holder, token, extract(epoch FROM expires_at - clock_timestamp())::float8 FROM ops.leases "
            "WHERE name = %s",
            [name],
        ).fetchone()
    who, token, left = held or ("another process", 0, 0.0)
    msg = (
        f"acquire the lease {name!r} for {holder}: {who} holds it with token {token} for another {max(left, 0):.1f} s; "
        "stop that process, or wait until it is gone and its lease has run out"
    )
    raise LeaseHeld(msg, retry_after=max(left, 0.0))


def renew(conn: psycopg.Connection, lease: Lease, *, ttl: timedelta) -> Lease:
    """Hold a lease for another `ttl` from now.

    One that has run out is renewed all the same while nobody took it: its token is still the greatest.

    Raises:
        LeaseLost: Another process took it, or it was given back: stop the work.
        ValueError: `ttl` is not positive.
        DatabaseUnavailable: It is not known whether it was renewed; the old time counts.
    """
    _check(ttl)
    with translated("renew the lease", key=lease.name):
        row = conn.execute(
            """
            UPDATE ops.leases SET expires_at = clock_timestamp() + %(ttl)s
            WHERE name = %(name)s AND token = %(token)s AND holder = %(holder)s
            RETURNING name, holder, token, acquired_at, expires_at
            """,
            {"name": lease.name, "token": lease.token, "holder": lease.holder, "ttl": ttl},
        ).fetchone()
        if row is not None:
            return Lease(*row)
        held = conn.execute("SELECT holder, token FROM ops.leases WHERE name = %s", [lease.name]).fetchone()
    now = "it was never granted here" if held is None else f"{held[0]} stands there with token {held[1]}"
    msg = (
        f"renew the lease {lease.name!r} of {lease.holder} with token {lease.token}: {now}; whatever is still under "
        "way must end without it"
    )
    raise LeaseLost(msg)


def release(conn: psycopg.Connection, lease: Lease) -> bool:
    """Give a lease back: another may take it at once, and what still comes with its token is refused.

    Returns:
        False when it was lost already: nothing changed.
    """
    with translated("release the lease", key=lease.name):
        given = conn.execute(
            """
            UPDATE ops.leases SET expires_at = clock_timestamp(), token = token + 1
            WHERE name = %(name)s AND token = %(token)s AND holder = %(holder)s
            """,
            {"name": lease.name, "token": lease.token, "holder": lease.holder},
        )
    return given.rowcount == 1


def _check(ttl: timedelta) -> None:
    if ttl <= timedelta(0):
        msg = f"a lease lasts for a time, received a ttl of {ttl.total_seconds()} s"
        raise ValueError(msg)
