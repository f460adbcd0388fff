"""A run as an importer found it, before it is in a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import JoulemarkError
from ..ledger.snapshot import Artifact, Score
from ..names import check_benchmark, check_phase, check_run, check_stage, check_token_kind

# The stage of what its source gives as a whole and does not split.
END_TO_END = "end_to_end"


class ImportFailed(JoulemarkError):
    """Something that cannot be imported; the message names file, place and remedy."""


@dataclass(frozen=True)
class ImportedStage:
    """Energy of one stage, joules by device; the devices are the source's own and never ones that are read here.

    `seconds` is 0 where the source does not say how long it took; instants are Unix seconds, None where not known.
    """

    stage: str
    joules: Mapping[str, float]
    phase: str = ""
    seconds: float = 0.0
    tokens: Mapping[str, int] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    peak_watts: float = 0.0

    def __post_init__(self) -> None:
        check_stage(self.stage)
        check_phase(self.phase)
        for kind in self.tokens:
            check_token_kind(kind)


@dataclass(frozen=True)
class ImportedRun:
    """A run with its facts (fields of `PUT /runs/{run}`); `origin` is measured, modelled or published."""

    name: str
    origin: str
    importer: str
    stages: tuple[ImportedStage, ...]
    facts: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    artifacts: tuple[Artifact, ...] = ()

    def __post_init__(self) -> None:
        check_run(self.name)
        for score in self.scores:
            check_benchmark(score.benchmark)

    @property
    def declared(self) -> dict[str, object]:
        """What the ledger keeps of it beside the energy; the label `importer` tells it from a run made here."""
        return {**self.facts, "labels": {**self.labels, "importer": self.importer}}
