"""Errors of the store, by the reaction they ask for; foreign exceptions become one of these in `store.connections`.

Retryable
├── DatabaseUnavailable   the server is gone, full or gave up: nothing was kept, try again
└── LeaseHeld             another process does this work now: wait until its lease has expired
Rejected
├── DatabaseRefused       the statement is wrong for this database: a privilege, a name, a constraint
├── ServerUnusable        the embedded server cannot run on this machine as it is; the message says what to change
├── EngineMismatch        analysis tables belong to another engine version or parameter set
└── ResearchRefused       what is on record of a run, study or parameter set speaks against it
Halt
└── LeaseLost             another process may do this work now: stop, nothing of it is let in any more
"""

from __future__ import annotations

from contracts.errors import DataRejected, Halt, Rejected, Retryable


class DatabaseUnavailable(Retryable):
    """The server cannot be reached or gave the transaction up; nothing of it was kept."""


class LeaseHeld(Retryable):
    """Another process holds the lease; `retry_after` = seconds until it expires, unless it is renewed."""


class LeaseLost(Halt):
    """The lease was taken over or given back: whoever held it must stop its work."""


class DatabaseRefused(Rejected):
    """The server understood the statement and refused it; repeating it changes nothing."""


class ServerUnusable(Rejected):
    """The embedded server cannot run here until something outside it changes."""


class EngineMismatch(Rejected):
    """Another engine version or parameter set owns the analysis tables."""


class ResearchRefused(Rejected):
    """What is on record of a run, a study or a parameter set speaks against what was asked; nothing was changed."""


class FrameRejected(DataRejected):
    """A frame handed to the store is not what its table takes; nothing of it was stored."""
