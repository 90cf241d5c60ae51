"""The control endpoints (`/sim/…`, JSON) beside the archive: move the clock, switch faults, see what is listed.

They are no part of Binance's protocol, which is why they live on the address that has none.

    GET  /sim/clock    POST {"advance": 60} | {"set": "2022-01-31T00:00:00Z"} | {"speed": 10}
    GET  /sim/faults   POST {"kind": "status", "venue": "spot", "status": 503, "times": 2}   DELETE ?id=1
    GET  /sim/market
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts import Rejected, from_us
from venues.simulator.faults import Fault

if TYPE_CHECKING:
    from starlette.requests import Request

    from venues.simulator.exchange import Exchange


class ClockOrder(BaseModel):
    """How to move the clock; several at once are done in this order.

    Attributes:
        speed: Simulated seconds a real second from now on.
        set: Jump to this instant.
        advance: Jump by so many simulated seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed: Annotated[float, Field(ge=0, le=100_000)] | None = None
    set: AwareDatetime | None = None
    advance: Annotated[float, Field(ge=0)] | None = None


class Control:
    """Routes of the control endpoints."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/sim/clock", self._clock, methods=["GET", "POST"]),
            Route("/sim/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/sim/market", self._market),
        ]

    async def _clock(self, request: Request) -> Response:
        clock = self._exchange.clock
        if request.method == "POST":
            try:
                order = ClockOrder.model_validate_json(await request.body())
                if order.speed is not None:
                    clock.run_at(order.speed)
                if order.set is not None:
                    clock.set(order.set)
                if order.advance is not None:
                    clock.advance(seconds=order.advance)
            except (ValidationError, Rejected) as error:
                return _refused(error)
        return JSONResponse({"now": clock.now().isoformat(), "now_ms": clock.now_ms(), "speed": clock.speed})

    async def _faults(self, request: Request) -> Response:
        board = self._exchange.faults
        if request.method == "POST":
            try:
                fault = Fault.model_validate_json(await request.body())
            except ValidationError as error:
                return _refused(error)
            return JSONResponse({"id": board.add(fault)})
        if request.method == "DELETE":
            number = request.query_params.get("id", "")
            if number and not number.isdecimal():
                return JSONResponse({"error": f"id is a whole number, received {number!r}"}, status_code=400)
            board.clear(int(number) if number else None)
        return JSONResponse({str(number): fault.model_dump() for number, fault in board.active().items()})

    async def _market(self, request: Request) -> Response:
        del request
        listed = {
            name: {"first": from_us(rules.first_ms * 1000).isoformat(), "end": from_us(rules.end_ms * 1000).isoformat()}
            for name, rules in self._exchange.history.symbols.items()
        }
        return JSONResponse(listed)


def _refused(error: ValidationError | Rejected) -> Response:
    if isinstance(error, ValidationError):
        problems = [f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors()]
        return JSONResponse({"error": "; ".join(problems)}, status_code=400)
    return JSONResponse({"error": str(error)}, status_code=400)
