"""Who pays for the teacher: the three accountings of a run, over all runs that share artifacts.

`docs/accounting.md` defines them. Energy is in joules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..run_record import RunRecord
from .formulas import sum_if_whole, teacher_joules

AS_RUN, ONE_OFF, AMORTIZED = "as_run", "one_off", "amortized"
ACCOUNTINGS = (AS_RUN, ONE_OFF, AMORTIZED)


@dataclass(frozen=True)
class Artifact:
    """A teacher's output: what making it once costs (None: no known run made it), who made it and who used it."""

    name: str
    kind: str
    joules: float | None
    makers: tuple[str, ...]
    users: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """A run's joules in each accounting; None where the cost of an artifact that it consumed is not known.

    `teacher_joules` is the full teacher cost: its own teacher stage and all of what it consumed and did not make.
    """

    as_run: float
    one_off: float | None
    amortized: float | None
    teacher_joules: float | None

    def joules(self, accounting: str) -> float | None:
        """The joules in one of ACCOUNTINGS."""
        return {AS_RUN: self.as_run, ONE_OFF: self.one_off, AMORTIZED: self.amortized}[accounting]


def artifacts_of(records: Iterable[RunRecord]) -> dict[str, Artifact]:
    """Every artifact that a run made or used, by name."""
    runs = list(records)
    kinds = {one.artifact: one.kind for record in runs for one in record.artifacts}
    return {name: _artifact(name, kind, runs) for name, kind in kinds.items()}


def bill_of(record: RunRecord, artifacts: Mapping[str, Artifact]) -> Bill:
    """The three accountings of a run; `artifacts` must hold all that it made or used."""
    made = {name for name in names(record, "produced") if artifacts[name].users}
    used = names(record, "consumed")
    bought = [artifacts[name].joules for name in used if name not in names(record, "produced")]
    spent = spent_on_each(record) * len(made)
    shares = [_share(artifacts[name]) for name in used]
    return Bill(
        as_run=record.joules,
        one_off=_plus(record.joules, bought),
        amortized=_plus(record.joules - spent, shares),
        teacher_joules=_plus(own_teacher_joules(record), bought),
    )


def names(record: RunRecord, role: str) -> list[str]:
    """The artifacts that a run produced or consumed."""
    return sorted({one.artifact for one in record.artifacts if one.role == role})


def own_teacher_joules(record: RunRecord) -> float:
    """Joules of the run's own teacher stage."""
    return teacher_joules((stage.stage, stage.joules) for stage in record.stages)


def spent_on_each(record: RunRecord) -> float:
    """Joules that a run spent on each artifact that it made: its teacher stage in equal parts."""
    made = names(record, "produced")
    return own_teacher_joules(record) / len(made) if made else 0.0


def _artifact(name: str, kind: str, runs: Iterable[RunRecord]) -> Artifact:
    makers = [record for record in runs if name in names(record, "produced")]
    users = tuple(record.run for record in runs if name in names(record, "consumed"))
    # Made more than once, it still costs what making it once costs.
    joules = sum(spent_on_each(maker) for maker in makers) / len(makers) if makers else None
    return Artifact(name, kind, joules, tuple(maker.run for maker in makers), users)


def _share(artifact: Artifact) -> float | None:
    return None if artifact.joules is None else artifact.joules / len(artifact.users)


def _plus(joules: float, parts: list[float | None]) -> float | None:
    return sum_if_whole([joules, *parts])
