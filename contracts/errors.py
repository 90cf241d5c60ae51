"""What a caller can do about a failure, as types. Rooms subclass these; nobody raises them bare.

TidemarkError
├── Retryable        the same call may succeed later: network, 5xx, rate limit, a lost database
├── Rejected         the same call will fail again: a wrong argument, an unknown symbol
│   └── DataRejected what arrived is not what it claims to be: a wrong checksum, an unreadable row
└── Halt             stop calling this counterpart until a person or its own deadline says otherwise

A message says what was attempted, with which key, what was received and what to do next. Foreign exceptions
are translated once, at the boundary of the room that talks to the foreigner.
"""


class TidemarkError(Exception):
    """Base of every error this platform raises on purpose."""


class Retryable(TidemarkError):
    """The same call may succeed later.

    Attributes:
        retry_after: Seconds to wait first, where the counterpart said so; None = the caller's own back-off.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(TidemarkError):
    """The same call will fail again: change the arguments, not the timing."""


class DataRejected(Rejected):
    """What arrived contradicts itself or its checksum; nothing of it was stored."""


class Halt(TidemarkError):
    """Stop calling this counterpart.

    Attributes:
        retry_after: Seconds until the counterpart said it may be called again; None = unknown.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
