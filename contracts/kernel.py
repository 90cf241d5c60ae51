"""How a formula of the specification becomes machine code, and the list of what was made so.

A *kernel* is compiled for one written-down signature, cached beside its module and never compiled for another one:
arrays of a wrong type are an error, not a second, slower or different kernel. A *formula* is a small function that
kernels call; the compiler inlines it.

Invariant: IEEE float64 as written, left to right. No fastmath, hence no reassociation and no fused multiply-add;
`error_model="numpy"` only replaces the ZeroDivisionError by the IEEE result.

The cache of a kernel notices a change of the kernel's own file, and of the modules named in `also`: those whose
formulas it calls. Constants of another module are used only where they show in the signature (sizes of records do).

    @kernel(types.int64(reals, int64), also=(fills,))
    def count_below(values, x): ...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numba
from numba import types

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

_Function = TypeVar("_Function", bound="Callable[..., Any]")

# A record with named fields as kernels see it: its fields are attributes, which no type checker knows of.
Record: TypeAlias = Any

# What polars lends without copying cannot be written to; a writable array may be handed over for either.
instants = types.Array(types.int64, 1, "C", readonly=True)
reals = types.Array(types.float64, 1, "C", readonly=True)
scratch = types.Array(types.float64, 1, "C")
matrix = types.Array(types.float64, 2, "C")
counts = types.Array(types.int64, 1, "C")
codes = types.Array(types.uint8, 1, "C")

_kernels: list[tuple[Any, Any]] = []


def formula(function: _Function) -> _Function:
    """A function for kernels; calls of it are inlined before anything is compiled.

    Keyword-only arguments cannot be. Handing an array on costs two atomic additions even so: within a bar, hand on
    records and numbers.
    """
    return cast("_Function", numba.njit(error_model="numpy", inline="always")(function))


def kernel(signature: object, *, also: Sequence[ModuleType] = ()) -> Callable[[_Function], _Function]:
    """Declare a kernel with its one signature; nothing is compiled before `warm_up`.

    Args:
        signature: What it takes and returns.
        also: The other modules whose formulas it calls, and those whose formulas these call.
    """

    def declare(function: _Function) -> _Function:
        dispatcher = numba.njit(cache=True, error_model="numpy")(function)
        if also:
            _follow(dispatcher, also)
        _kernels.append((dispatcher, signature))
        return cast("_Function", dispatcher)

    return declare


def _follow(dispatcher: Any, modules: Sequence[ModuleType]) -> None:  # noqa: ANN401 - numba has no public type for it
    """Have the cache of a kernel taken for stale, too, where one of `modules` has changed since it was written."""
    # Numba asks the kernel's own file for its stamp and keeps the answer here; there is no public way to name more.
    cache = dispatcher._cache._cache_file
    files = [Path(cast("str", module.__file__)).stat() for module in modules]
    cache._source_stamp = (cache._source_stamp, *((file.st_mtime, file.st_size) for file in files))


def warm_up() -> int:
    """Compile every kernel, or load it from the cache of an earlier process; a second call does nothing.

    Returns:
        How many kernels there are.
    """
    for dispatcher, signature in _kernels:
        if not dispatcher.signatures:
            dispatcher.compile(signature)
            dispatcher.disable_compile()
    return len(_kernels)
