"""The calls about runs: declare, score, artifact, and the account of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from .. import names
from ..meter.meter import Meter
from .answers import Pruned, RunRecord, RunSummary
from .body import body_of, schema_of
from .problems import READ, WRITE, refusals
from .requests import ArtifactBody, RunBody, ScoreBody
from .threads import READS, WRITES, in_thread

# Checked by the ledger, whose words are better than a pattern.
RunName = Annotated[str, Path(examples=["kd-1b"], json_schema_extra={"pattern": names.anchored(names.RUN)})]


def router(meter: Meter) -> APIRouter:
    """The calls over this meter."""
    calls = APIRouter(prefix="/runs", tags=["runs"])

    @calls.get("", response_model=list[RunSummary], responses=refusals(*READ, 422))
    async def runs(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> list[dict[str, object]]:
        """The runs, newest first."""
        return await in_thread(READS, meter.runs, limit)

    @calls.get("/{run}", response_model=RunRecord, responses=refusals(*READ, 404))
    async def run_record(run: RunName) -> dict[str, object]:
        """Full accounting of one run."""
        return await in_thread(READS, meter.run_record, run)

    _writes(calls, meter)
    return calls


def _writes(calls: APIRouter, meter: Meter) -> None:
    answer: dict[str, Any] = {"response_model": RunRecord, "responses": refusals(*WRITE, 409)}

    async def changed(run: str, change: Callable[[], None]) -> dict[str, object]:
        """The account of a run once a change was made."""

        def make_and_look() -> dict[str, object]:
            change()
            return meter.run_record(run)

        return await in_thread(WRITES, make_and_look)

    @calls.put("/{run}", openapi_extra=schema_of(RunBody), **answer)
    async def declare(request: Request, run: RunName) -> dict[str, object]:
        """Say what a run is; what is left out stays as it was."""
        fields = (await body_of(request, RunBody)).model_dump(exclude_none=True)
        return await changed(run, lambda: meter.declare(run, fields))

    @calls.post("/{run}/scores", openapi_extra=schema_of(ScoreBody), **answer)
    async def score(request: Request, run: RunName) -> dict[str, object]:
        """Keep a benchmark score; a later one of the same benchmark replaces it."""
        x = await body_of(request, ScoreBody)
        return await changed(run, lambda: meter.score(run, x.benchmark, x.score, x.reference, x.n, x.stderr))

    @calls.post("/{run}/artifacts", openapi_extra=schema_of(ArtifactBody), **answer)
    async def artifact(request: Request, run: RunName) -> dict[str, object]:
        """Keep that the run produced or consumed a teacher artifact; said twice, it is kept once."""
        x = await body_of(request, ArtifactBody)
        return await changed(run, lambda: meter.artifact(run, x.artifact, x.kind, x.role))

    @calls.delete("/{run}", response_model=Pruned, responses=refusals(*WRITE, 404, 409))
    async def prune(run: RunName) -> dict[str, object]:
        """Forget a run for ever. Its joules stay in the totals of its devices, so that no counter goes down.

        A run with an open window, or one whose last joules are not settled yet, is refused: end it first.
        """
        await in_thread(WRITES, meter.prune, run)
        return {"run": run}
