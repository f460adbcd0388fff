"""The scores behind Q, benchmark by benchmark: of each cell, of the student before training, and of the teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..accounting import Spread
from ..run_record import RunRecord, ScoreRecord
from .cells import Cell, names_of
from .numbers import digits, with_bound

# The pipeline of runs that say where a student begins; no energy of theirs is compared with a run's.
UNTRAINED = "untrained"
CAPTION = (
    "± is between runs that differ in seed alone the sample standard deviation, of a single run the standard error "
    "over the benchmark's items, where it was told."
)
# Below this, decimals would be a row of zeros.
_TINY = 1e-4


def benchmarks(cells: Sequence[Cell]) -> list[str]:
    """Every benchmark that a run of these was scored on, sorted."""
    return sorted({score.benchmark for cell in cells for account in cell.runs for score in account.record.scores})


def untrained(cells: Sequence[Cell], records: Mapping[str, RunRecord]) -> tuple[RunRecord, ...]:
    """The newest record of each student of these cells before its training, unless it is reported itself."""
    wanted = {(cell.key.student, cell.key.teacher, cell.key.dataset) for cell in cells if cell.key.student}
    by_age = sorted(records.values(), key=lambda one: (one.created_at or 0.0, one.run))
    found = {(one.student, one.teacher, one.dataset): one for one in by_age if one.pipeline == UNTRAINED}
    reported = {account.run for cell in cells for account in cell.runs}
    return tuple(one for key, one in found.items() if key in wanted and one.run not in reported)


def score_rows(cells: Sequence[Cell], before: Sequence[RunRecord]) -> Iterator[tuple[str, ...]]:
    """Name, number of runs and a figure for each of `benchmarks(cells)`."""
    shown = benchmarks(cells)
    for name, cell in zip(names_of(cells), cells, strict=True):
        yield (name, f"{len(cell.runs)}", *(_of_cell(cell, benchmark) for benchmark in shown))
    for record in before:
        found = {score.benchmark: score for score in record.scores}
        yield (f"{record.student}, {UNTRAINED}", "1", *(_of_score(found.get(benchmark)) for benchmark in shown))
    for teacher, known in _teachers(cells).items():
        yield (f"teacher {teacher}", "", *(_text(known.get(benchmark), None) for benchmark in shown))


def _of_cell(cell: Cell, benchmark: str) -> str:
    found = [score for account in cell.runs for score in account.record.scores if score.benchmark == benchmark]
    if len(found) < 2:
        return _of_score(found[0] if found else None)
    spread = Spread.of(score.score for score in found)
    return _text(spread.mean, spread.deviation)


def _of_score(score: ScoreRecord | None) -> str:
    return _text(score.score, score.stderr) if score else ""


def _text(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    if 0 < abs(value) < _TINY:
        return f"{value:.1e}" + (f" ± {error:.1e}" if error else "")
    return with_bound(value, error, 3) if error else digits(value)


def _teachers(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """By teacher its scores: the references that runs came with."""
    found: dict[str, dict[str, float]] = {}
    for account in (account for cell in cells for account in cell.runs if account.record.teacher):
        known = {s.benchmark: s.reference for s in account.record.scores if s.reference is not None}
        found.setdefault(account.record.teacher or "", {}).update(known)
    return {teacher: known for teacher, known in found.items() if known}
