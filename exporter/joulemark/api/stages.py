"""The calls of the stage API: switch, renew, end, list."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from ..ledger.state import StageRequest
from ..meter.meter import Meter
from .answers import Switched, WindowSummary
from .body import body_of, schema_of
from .problems import READ, WRITE, Refused, refusals
from .requests import EndBody, StageBody, TokensBody
from .threads import READS, WRITES, in_thread, on_disk

# By hand, as the framework looks at the declaration of a header anew with every request.
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a name of this one transition, made up by the caller, for example a UUID: sent again with the same "
    "key, the transition is answered with the same windows and changes nothing; the same key with another body is "
    "refused (422); the latest 4096 keys are kept",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}
_KEY = re.compile(r"[!-~]{1,128}")
WindowId = Annotated[str, Path(description="as PUT /stage answered it", examples=["0f3b6d1c2a4e5f60"])]


class PlainRoute(APIRoute):
    """A call that takes the request and makes its answer by itself: nothing is left for the framework to solve."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function as it is."""
        return self.endpoint


def router(meter: Meter) -> APIRouter:
    """The calls over this meter."""
    calls = APIRouter(tags=["stages"])

    async def switch(request: Request) -> Response:
        """End this run's window on these devices and begin the new one.

        One reading ends the old window and begins the new one. A device that a window of another run holds is refused
        with its holder's name, unless both said `share`. Sent again without an `Idempotency-Key` it ends the window
        that it began before and begins another of the same stage: no joule is counted twice, but there are two windows.
        Sent again with the key of a window whose run was removed since, it is refused as not found.
        """
        key = _idempotency_key(request)
        asked = StageRequest(**dict(await body_of(request, StageBody)))
        # A thread for it, and back, would cost more than to make it here, as long as nobody is in the way.
        made = meter.begin_at_once(asked, key)
        summary, ended = await (on_disk(made) if made else in_thread(WRITES, meter.begin, asked, key))
        begun = {**summary, "ended": ended[-1] if ended else None, "also_ended": ended[:-1]}
        # As it is: this is asked most often, and to have it checked and copied costs more than to make it.
        return Response(to_json(begun), media_type="application/json")

    calls.add_api_route(
        "/stage",
        switch,
        methods=["PUT"],
        openapi_extra={**schema_of(StageBody), "parameters": [IDEMPOTENCY_KEY]},
        response_model=Switched,
        responses=refusals(*WRITE, 404, 409),
        route_class_override=PlainRoute,
    )

    @calls.get("/stage", response_model=list[WindowSummary], responses=refusals(*READ))
    async def active() -> list[dict[str, object]]:
        """The open windows, oldest first."""
        return await in_thread(READS, meter.active)

    _windows(calls, meter)
    return calls


def _windows(calls: APIRouter, meter: Meter) -> None:
    @calls.get("/windows", response_model=list[WindowSummary], responses=refusals(*READ, 422))
    async def windows(
        run: Annotated[str | None, Query(max_length=128, description="of this run; of all when left out")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> list[dict[str, object]]:
        """The windows that began last, newest first, those that have ended included."""
        return await in_thread(READS, meter.windows, limit, run)

    @calls.post(
        "/stage/{window_id}/heartbeat",
        openapi_extra=schema_of(TokensBody),
        response_model=WindowSummary,
        responses=refusals(*WRITE, 404),
    )
    async def heartbeat(request: Request, window_id: WindowId) -> dict[str, object]:
        """Renew the lease; cumulative token counts, so that a retry adds nothing."""
        body = await body_of(request, TokensBody)
        return await in_thread(WRITES, meter.heartbeat, window_id, body.tokens)

    @calls.delete(
        "/stage/{window_id}",
        openapi_extra=schema_of(EndBody),
        response_model=WindowSummary,
        responses=refusals(*WRITE, 404),
    )
    async def end(request: Request, window_id: WindowId) -> dict[str, object]:
        """End the window and answer its summary; a repeated call answers the same."""
        body = await body_of(request, EndBody)
        return await in_thread(WRITES, meter.end, window_id, body.tokens, failed=body.failed)


def _idempotency_key(request: Request) -> str:
    """The header's value, "" without it."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(
            422, "Invalid field", f"Idempotency-Key: {key[:120]!r} is no key", field="Idempotency-Key",
            remedy="use 1 to 128 characters of ASCII without spaces, for example a UUID",
        )  # fmt: skip
    return key or ""
