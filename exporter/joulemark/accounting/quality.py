"""Quality Q of a run, with what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..run_record import RunRecord
from .formulas import quality

# A teacher's scores by (teacher, benchmark).
References = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Quality:
    """Q, None where no benchmark can be used; the benchmarks it rests on, and those left out.

    `missing` are benchmarks that the teacher has a score of and the run has not, or the other way round.
    """

    value: float | None
    used: tuple[str, ...]
    missing: tuple[str, ...]


def references_of(records: Iterable[RunRecord]) -> dict[tuple[str, str], float]:
    """Every teacher's scores as runs brought them with their own; of several the latest run's."""
    by_age = sorted(records, key=lambda record: (record.last_active_at or 0.0, record.run))
    return {
        (record.teacher or "", score.benchmark): score.reference
        for record in by_age
        for score in record.scores
        if record.teacher and score.reference is not None
    }


def quality_of(record: RunRecord, references: References) -> Quality:
    """Q over the benchmarks that both the run and its teacher have a score of, with equal weights."""
    teacher = record.teacher or ""
    ratios: dict[str, tuple[float, float | None]] = {}
    for score in record.scores:
        reference = score.reference
        known = references.get((teacher, score.benchmark)) if reference is None else reference
        ratios[score.benchmark] = (score.score, known)
    used = tuple(sorted(name for name, (_, reference) in ratios.items() if reference))
    expected = {benchmark for known_teacher, benchmark in references if known_teacher == teacher} | set(ratios)
    return Quality(quality(list(ratios.values())), used, tuple(sorted(expected - set(used))) if ratios else ())
