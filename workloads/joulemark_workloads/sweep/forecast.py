"""What the rest of a grid will take, from what its finished cells took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

TEACHER = "teacher"


class Cost(NamedTuple):
    """Of one finished cell: its pipeline, what its teacher artifact is made from, joules and seconds by stage."""

    pipeline: str
    artifact: str
    joules: dict[str, float]
    seconds: dict[str, float]


class Forecast(NamedTuple):
    """Joules and seconds to the end."""

    joules: float
    seconds: float


def forecast(done: Sequence[Cost], left: Iterable[tuple[str, str]]) -> Forecast | None:
    """The rest as the mean of what is done, by pipeline; None where nothing is done. `left` has (pipeline, artifact).

    The teacher counts for the first cell of each artifact alone: the others reuse it.
    """
    if not done:
        return None
    made = {cost.artifact for cost in done if cost.joules.get(TEACHER)}
    joules = seconds = 0.0
    for pipeline, artifact in left:
        alike = [cost for cost in done if cost.pipeline == pipeline] or list(done)
        joules += _mean([_without_teacher(cost.joules) for cost in alike])
        seconds += _mean([_without_teacher(cost.seconds) for cost in alike])
        if artifact and artifact not in made:
            made.add(artifact)
            joules += _mean([cost.joules[TEACHER] for cost in alike if cost.joules.get(TEACHER)])
            seconds += _mean([cost.seconds[TEACHER] for cost in alike if cost.seconds.get(TEACHER)])
    return Forecast(joules, seconds)


def _without_teacher(stages: dict[str, float]) -> float:
    return sum(value for stage, value in stages.items() if stage != TEACHER)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
