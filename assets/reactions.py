"""What a step does about a failure, told from the type of the error (`contracts.errors`).

Retryable        asked again by the step itself, after the wait the counterpart named or one that grows
everything else  ends the step for good: the same call would fail again

An asset takes part by one line under its decorator. A run in the process that started it is never asked again by
itself: a person waits for the command and decides. Run-level retries leave failed steps alone (dagster.yaml), so
that this is the only place where a step is repeated. Exceptions that are not ours pass through unchanged.

    @dg.asset(...)
    @reacting
    def candles(context: dg.AssetExecutionContext, ...) -> Iterator[dg.MaterializeResult[None]]: ...
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast, get_origin

import dagster as dg

from contracts import DataRejected, Halt, Rejected, Retryable, TidemarkError

RETRIES = 3
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
REACTION = "reaction"
"""Name of the metadata under which a failed step keeps the name of its error's reaction."""

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext
Body = TypeVar("Body", bound=Callable[..., Any])

# The most particular first.
_REACTIONS: tuple[type[TidemarkError], ...] = (DataRejected, Rejected, Halt, Retryable)


def reaction_of(error: TidemarkError) -> str:
    """The name of the reaction an error asks for, as `contracts.errors` names it."""
    return next((kind.__name__ for kind in _REACTIONS if isinstance(error, kind)), TidemarkError.__name__)


def wait_before(retry: int, *, asked: float | None = None) -> float:
    """Seconds to wait before a retry.

    Args:
        retry: How many retries there were before this one.
        asked: What the counterpart asked for; None = it said nothing.
    """
    return max(asked or 0.0, min(FIRST_WAIT_S * 4.0**retry, LONGEST_WAIT_S))


def outcome_of(error: TidemarkError, *, retries: int, attended: bool) -> dg.RetryRequested | dg.Failure:
    """What a step raises in the place of `error`.

    Args:
        error: What its body raised.
        retries: How often it was retried before.
        attended: Whether somebody waits for the run, who is told at once.
    """
    if isinstance(error, Retryable) and not attended and retries < RETRIES:
        return dg.RetryRequested(RETRIES, seconds_to_wait=wait_before(retries, asked=error.retry_after))
    return dg.Failure(str(error), metadata={REACTION: reaction_of(error)}, allow_retries=False)


def reacting(body: Body) -> Body:
    """The body of a step, function or generator, whose errors have become what Dagster is to do about them."""
    if inspect.isgeneratorfunction(body):

        @functools.wraps(body)
        def steps(context: Context, *args: object, **kwargs: object) -> Iterator[object]:
            with _told(context):
                yield from body(context, *args, **kwargs)

        return cast("Body", steps)

    @functools.wraps(body)
    def step(context: Context, *args: object, **kwargs: object) -> object:
        with _told(context):
            return body(context, *args, **kwargs)

    # Beside check results Dagster knows a result by its bare class, and takes `MaterializeResult[None]` for a tuple.
    signature = inspect.signature(body)
    bare = get_origin(signature.return_annotation) or signature.return_annotation
    step.__signature__ = signature.replace(return_annotation=bare)  # type: ignore[attr-defined]  # inspect reads it
    return cast("Body", step)


@contextmanager
def _told(context: Context) -> Iterator[None]:
    try:
        yield
    except TidemarkError as error:
        # Only what Dagster launched knows where its code came from.
        attended = context.run.remote_job_origin is None
        outcome = outcome_of(error, retries=context.op_execution_context.retry_number, attended=attended)
        if isinstance(outcome, dg.RetryRequested):
            context.log.warning(f"asking again in {outcome.seconds_to_wait:.0f} s: {error}")
        raise outcome from error
