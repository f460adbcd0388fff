"""The calls of the stage API: switch, renew, end, list."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query

from ..ledger.state import StageRequest
from ..meter.meter import Meter
from .answers import Switched, WindowSummary
from .body import body_of, schema_of
from .problems import READ, WRITE, refusals
from .requests import EndBody, StageBody, TokensBody
from .threads import READS, WRITES, in_threads

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[!-~]+$",
        description="a name of this one transition, made up by the caller, for example a UUID: sent again with the "
        "same key, the transition is answered with the same windows and changes nothing; the same key with another "
        "body is refused (422); the latest 4096 keys are kept",
    ),
]
WindowId = Annotated[str, Path(description="as PUT /stage answered it", examples=["0f3b6d1c2a4e5f60"])]


def router(meter: Meter) -> APIRouter:
    """The calls over this meter."""
    calls = APIRouter(tags=["stages"])

    @calls.put(
        "/stage", openapi_extra=schema_of(StageBody), response_model=Switched, responses=refusals(*WRITE, 404, 409)
    )
    @in_threads(WRITES)
    def switch(
        body: Annotated[StageBody, Depends(body_of(StageBody))], idempotency_key: IdempotencyKey = None
    ) -> dict[str, Any]:
        """End this run's window on these devices and begin the new one.

        One reading ends the old window and begins the new one. A device that a window of another run holds is refused
        with its holder's name, unless both said `share`. Sent again without an `Idempotency-Key` it ends the window
        that it began before and begins another of the same stage: no joule is counted twice, but there are two windows.
        Sent again with the key of a window whose run was removed since, it is refused as not found.
        """
        summary, ended = meter.begin(StageRequest(**body.model_dump()), idempotency_key or "")
        return {**summary, "ended": ended[-1] if ended else None, "also_ended": ended[:-1]}

    @calls.get("/stage", response_model=list[WindowSummary], responses=refusals(*READ))
    @in_threads(READS)
    def active() -> list[dict[str, object]]:
        """The open windows, oldest first."""
        return meter.active()

    _windows(calls, meter)
    return calls


def _windows(calls: APIRouter, meter: Meter) -> None:
    @calls.get("/windows", response_model=list[WindowSummary], responses=refusals(*READ, 422))
    @in_threads(READS)
    def windows(
        run: Annotated[str | None, Query(max_length=128, description="of this run; of all when left out")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> list[dict[str, object]]:
        """The windows that began last, newest first, those that have ended included."""
        return meter.windows(limit, run)

    @calls.post(
        "/stage/{window_id}/heartbeat",
        openapi_extra=schema_of(TokensBody),
        response_model=WindowSummary,
        responses=refusals(*WRITE, 404),
    )
    @in_threads(WRITES)
    def heartbeat(window_id: WindowId, body: Annotated[TokensBody, Depends(body_of(TokensBody))]) -> dict[str, object]:
        """Renew the lease; cumulative token counts, so that a retry adds nothing."""
        return meter.heartbeat(window_id, body.tokens)

    @calls.delete(
        "/stage/{window_id}",
        openapi_extra=schema_of(EndBody),
        response_model=WindowSummary,
        responses=refusals(*WRITE, 404),
    )
    @in_threads(WRITES)
    def end(window_id: WindowId, body: Annotated[EndBody, Depends(body_of(EndBody))]) -> dict[str, object]:
        """End the window and answer its summary; a repeated call answers the same."""
        return meter.end(window_id, body.tokens, failed=body.failed)
