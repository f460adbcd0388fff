"""The calls about runs: declare, score, artifact, and the account of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from .. import names
from ..meter.meter import Meter
from .answers import Pruned, RunRecord, RunSummary
from .body import body_of, schema_of
from .problems import READ, WRITE, refusals
from .requests import ArtifactBody, RunBody, ScoreBody
from .threads import READS, WRITES, in_threads

# Checked by the ledger, whose words are better than a pattern.
RunName = Annotated[str, Path(examples=["kd-1b"], json_schema_extra={"pattern": names.anchored(names.RUN)})]


def router(meter: Meter) -> APIRouter:
    """The calls over this meter."""
    calls = APIRouter(prefix="/runs", tags=["runs"])

    @calls.get("", response_model=list[RunSummary], responses=refusals(*READ, 422))
    @in_threads(READS)
    def runs(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> list[dict[str, object]]:
        """The runs, newest first."""
        return meter.runs(limit)

    @calls.get("/{run}", response_model=RunRecord, responses=refusals(*READ, 404))
    @in_threads(READS)
    def run_record(run: RunName) -> dict[str, object]:
        """Full accounting of one run."""
        return meter.run_record(run)

    _writes(calls, meter)
    return calls


def _writes(calls: APIRouter, meter: Meter) -> None:
    answer: dict[str, Any] = {"response_model": RunRecord, "responses": refusals(*WRITE, 409)}

    @calls.put("/{run}", openapi_extra=schema_of(RunBody), **answer)
    @in_threads(WRITES)
    def declare(run: RunName, body: Annotated[RunBody, Depends(body_of(RunBody))]) -> dict[str, object]:
        """Say what a run is; what is left out stays as it was."""
        meter.declare(run, body.model_dump(exclude_none=True))
        return meter.run_record(run)

    @calls.post("/{run}/scores", openapi_extra=schema_of(ScoreBody), **answer)
    @in_threads(WRITES)
    def score(run: RunName, body: Annotated[ScoreBody, Depends(body_of(ScoreBody))]) -> dict[str, object]:
        """Keep a benchmark score; a later one of the same benchmark replaces it."""
        meter.score(run, body.benchmark, body.score, body.reference, body.n, body.stderr)
        return meter.run_record(run)

    @calls.post("/{run}/artifacts", openapi_extra=schema_of(ArtifactBody), **answer)
    @in_threads(WRITES)
    def artifact(run: RunName, body: Annotated[ArtifactBody, Depends(body_of(ArtifactBody))]) -> dict[str, object]:
        """Keep that the run produced or consumed a teacher artifact; said twice, it is kept once."""
        meter.artifact(run, body.artifact, body.kind, body.role)
        return meter.run_record(run)

    @calls.delete("/{run}", response_model=Pruned, responses=refusals(*WRITE, 404, 409))
    @in_threads(WRITES)
    def prune(run: RunName) -> dict[str, object]:
        """Forget a run for ever. Its joules stay in the totals of its devices, so that no counter goes down.

        A run with an open window, or one whose last joules are not settled yet, is refused: end it first.
        """
        meter.prune(run)
        return {"run": run}
