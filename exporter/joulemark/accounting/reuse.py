"""Who pays for the teacher: the three accountings of a run, over all runs that share artifacts.

`docs/accounting.md` defines them. Energy is in joules, and so is its bound: the y of `x ± y J`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..run_record import RunRecord
from .formulas import TEACHER_STAGE, mean_if_whole, sum_if_whole, teacher_joules

AS_RUN, ONE_OFF, AMORTIZED = "as_run", "one_off", "amortized"
ACCOUNTINGS = (AS_RUN, ONE_OFF, AMORTIZED)


@dataclass(frozen=True)
class Artifact:
    """A teacher's output: what making it once costs (None: no known run made it), who made it and who used it.

    `uncertainty_joules` is the bound of that cost, None where it or the cost is not known.
    """

    name: str
    kind: str
    joules: float | None
    uncertainty_joules: float | None
    makers: tuple[str, ...]
    users: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """A run's joules in each accounting; None where the cost of an artifact that it consumed is not known.

    `teacher_joules` is the full teacher cost: its own teacher stage and all of what it consumed and did not make.
    `bounds` holds the bound of each accounting in joules, None where a part of it is not known.
    """

    as_run: float
    one_off: float | None
    amortized: float | None
    teacher_joules: float | None
    bounds: Mapping[str, float | None]
    teacher_uncertainty_joules: float | None

    def joules(self, accounting: str) -> float | None:
        """The joules in one of ACCOUNTINGS."""
        return {AS_RUN: self.as_run, ONE_OFF: self.one_off, AMORTIZED: self.amortized}[accounting]

    def uncertainty_joules(self, accounting: str) -> float | None:
        """The bound of the joules in one of ACCOUNTINGS."""
        return self.bounds[accounting]


def artifacts_of(records: Iterable[RunRecord]) -> dict[str, Artifact]:
    """Every artifact that a run made or used, by name."""
    runs = list(records)
    kinds = {one.artifact: one.kind for record in runs for one in record.artifacts}
    return {name: _artifact(name, kind, runs) for name, kind in kinds.items()}


def bill_of(record: RunRecord, artifacts: Mapping[str, Artifact]) -> Bill:
    """The three accountings of a run; `artifacts` must hold all that it made or used.

    Bounds add up as joules do, and no joule counts by a negative share: both follow by the same sums.
    """
    made = names(record, "produced")
    used = [artifacts[name] for name in names(record, "consumed")]
    bought = [one for one in used if one.name not in made]
    sold = len([name for name in made if artifacts[name].users])
    full = [one.joules for one in bought]
    full_bounds = [one.uncertainty_joules for one in bought]
    amortized_bound = _sum(
        record.uncertainty_joules,
        _times(-sold, bound_on_each(record)),
        *(_times(1 / len(one.users), one.uncertainty_joules) for one in used),
    )
    return Bill(
        as_run=record.joules,
        one_off=_sum(record.joules, *full),
        amortized=_sum(record.joules - spent_on_each(record) * sold, *(_share(one) for one in used)),
        teacher_joules=_sum(own_teacher_joules(record), *full),
        bounds={
            AS_RUN: record.uncertainty_joules,
            ONE_OFF: _sum(record.uncertainty_joules, *full_bounds),
            # Of a run whose users pay for all of it rounding may leave less than nothing.
            AMORTIZED: None if amortized_bound is None else max(0.0, amortized_bound),
        },
        teacher_uncertainty_joules=_sum(stage_uncertainty_joules(record, TEACHER_STAGE), *full_bounds),
    )


def names(record: RunRecord, role: str) -> list[str]:
    """The artifacts that a run produced or consumed."""
    return sorted({one.artifact for one in record.artifacts if one.role == role})


def own_teacher_joules(record: RunRecord) -> float:
    """Joules of the run's own teacher stage."""
    return teacher_joules((stage.stage, stage.joules) for stage in record.stages)


def stage_uncertainty_joules(record: RunRecord, stage: str) -> float | None:
    """The bound of a stage's joules: that of all its phases and nodes, 0 without the stage; None where one has none."""
    return _sum(0.0, *(one.uncertainty_joules for one in record.stages if one.stage == stage))


def spent_on_each(record: RunRecord) -> float:
    """Joules that a run spent on each artifact that it made: its teacher stage in equal parts."""
    made = names(record, "produced")
    return own_teacher_joules(record) / len(made) if made else 0.0


def bound_on_each(record: RunRecord) -> float | None:
    """The bound of these joules; None where that of the teacher stage is not known."""
    made = names(record, "produced")
    return _times(1 / len(made), stage_uncertainty_joules(record, TEACHER_STAGE)) if made else 0.0


def _artifact(name: str, kind: str, runs: Iterable[RunRecord]) -> Artifact:
    makers = [record for record in runs if name in names(record, "produced")]
    users = tuple(record.run for record in runs if name in names(record, "consumed"))
    # Made more than once, it still costs what making it once costs.
    joules, bound = mean_if_whole(map(spent_on_each, makers)), mean_if_whole(map(bound_on_each, makers))
    return Artifact(name, kind, joules, bound, tuple(maker.run for maker in makers), users)


def _share(artifact: Artifact) -> float | None:
    return None if artifact.joules is None else artifact.joules / len(artifact.users)


def _times(factor: float, bound: float | None) -> float | None:
    return None if bound is None else factor * bound


def _sum(*parts: float | None) -> float | None:
    return sum_if_whole(parts)
