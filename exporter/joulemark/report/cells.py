"""Runs that differ only in seed as one cell of the tables and pictures: mean and spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..accounting import Breakeven, CellKey, Point, Reason, Spread, cells_of, frontier, mean_if_whole
from .numbers import short
from .rows import Account


@dataclass(frozen=True)
class Cell:
    """Runs that repeat each other. A figure of a cell is the mean of those of its runs that have it."""

    key: CellKey
    runs: tuple[Account, ...]

    @property
    def name(self) -> str:
        """Pipeline and student, and what sets it apart; the run's own name where these are not declared."""
        return f"{self.key.pipeline} {self.key.student}" if self.named else self.runs[0].run

    @property
    def named(self) -> bool:
        """Whether its name is made of pipeline and student."""
        return bool(self.key.pipeline and self.key.student)

    @property
    def single(self) -> bool:
        """Whether it is one run, so that there is no spread."""
        return len(self.runs) == 1

    def of(self, figure: Callable[[Account], float | None]) -> Spread:
        """Mean and spread of a figure of its runs."""
        return Spread.of(figure(account) for account in self.runs)

    def energy(self, accounting: str) -> Spread:
        """Joules in one of the accountings."""
        return self.of(lambda account: account.figures.bill.joules(accounting))

    def quality(self) -> Spread:
        """Q."""
        return self.of(lambda account: account.figures.quality.value)

    def stage(self, stage: str) -> Spread:
        """Joules of a stage of those runs that have it."""
        return self.of(lambda account: account.joules_by_stage().get(stage))

    def stages(self) -> list[str]:
        """The stages of its runs in the order in which they come."""
        return list(dict.fromkeys(stage for account in self.runs for stage in account.joules_by_stage()))

    def error(self, accounting: str) -> float | None:
        """What to draw or write after ± of its joules: the deviation between repeats, of one run its bound."""
        return self._error(self.energy(accounting), self.bound(accounting))

    def stage_error(self, stage: str) -> float | None:
        """The same of a stage."""
        return self._error(self.stage(stage), self.bound_of_stage(stage))

    def bound(self, accounting: str) -> float | None:
        """Bound in joules of its mean energy: the mean of its runs' bounds; None where one of them is not known."""
        bills = [account.figures.bill for account in self.runs]
        return mean_if_whole(
            bill.uncertainty_joules(accounting) for bill in bills if bill.joules(accounting) is not None
        )

    def bound_of_stage(self, stage: str) -> float | None:
        """The same of a stage, of those runs that have it."""
        return mean_if_whole(
            account.bound_of_stage(stage) for account in self.runs if stage in account.joules_by_stage()
        )

    def teacher(self) -> tuple[float | None, float | None]:
        """The full teacher cost in joules, and what to write after ±: runs that share one teacher do not repeat it."""
        bills = [account.figures.bill for account in self.runs if account.figures.bill.teacher_joules]
        spread = Spread.of(bill.teacher_joules for bill in bills)
        return spread.mean, spread.deviation or mean_if_whole(bill.teacher_uncertainty_joules for bill in bills)

    def baseline_student(self) -> tuple[float | None, float | None]:
        """The same of the student stage of its baselines, which may be several: then their deviation."""
        figures = [account.figures for account in self.runs if account.figures.baseline_student_joules]
        spread = Spread.of(one.baseline_student_joules for one in figures)
        between = spread.deviation or mean_if_whole(one.baseline_student_deviation for one in figures)
        return spread.mean, between or mean_if_whole(one.baseline_student_uncertainty_joules for one in figures)

    @staticmethod
    def _error(spread: Spread, bound: float | None) -> float | None:
        return bound if spread.n == 1 else spread.deviation


def cells(accounts: Sequence[Account]) -> list[Cell]:
    """The cells of these runs, in the order of their first run."""
    by_name = {account.run: account for account in accounts}
    keys = cells_of({account.run: account.record for account in accounts})
    return [Cell(key, tuple(by_name[name] for name in names)) for key, names in keys.items()]


def labels_that_vary(found: Sequence[Cell]) -> list[str]:
    """The labels in which cells of the same pipeline, student, data and origin differ: what was swept."""
    varied: set[str] = set()
    for cell in found:
        for other in found:
            if (cell.key.pipeline, cell.key.student, cell.key.dataset, cell.key.origin) == (
                other.key.pipeline, other.key.student, other.key.dataset, other.key.origin,
            ):  # fmt: skip
                varied |= {name for name, _ in set(cell.key.labels) ^ set(other.key.labels)}
    return sorted(varied)


def optimal_cells(found: Sequence[Cell], accounting: str) -> dict[int, bool]:
    """By index of a cell whether it is on the frontier of its origin; cells without a place are left out."""
    points: dict[str, tuple[str, Point]] = {}
    for index, cell in enumerate(found):
        energy, quality = cell.energy(accounting).mean, cell.quality().mean
        if energy is not None and quality is not None:
            points[str(index)] = cell.key.origin, (energy, quality)
    return {int(index): best for index, best in frontier(points).items()}


def reasons(cell: Cell, figure: Callable[[Account], Breakeven]) -> list[Reason]:
    """Why none of its runs has the break-even; nothing where one has."""
    found = [figure(account) for account in cell.runs]
    if any(one.value is not None for one in found):
        return []
    return sorted({one.reason for one in found if one.reason is not None})


def names_of(found: Sequence[Cell]) -> list[str]:
    """A name for each cell that tells it from the others: with its data set, labels, origin or run where it must."""
    names = [cell.name for cell in found]
    tells: list[Callable[[Cell], str]] = [
        lambda cell: " ".join(f"{name}={value}" for name, value in cell.key.labels if name in labels_that_vary(found)),
        lambda cell: f"on {cell.key.dataset}" if cell.key.dataset else "",
        lambda cell: f"({cell.key.origin})",
        lambda cell: cell.runs[0].run,
    ]
    for tell in tells:
        twins = {name for name in names if names.count(name) > 1}
        names = [
            f"{name} {tell(cell)}".rstrip() if name in twins else name for name, cell in zip(names, found, strict=True)
        ]
    return names


def shared_student(found: Sequence[Cell]) -> str:
    """The student of all cells where several have the same, so that pictures need not repeat it; else empty."""
    students = {cell.key.student if cell.named else "" for cell in found}
    return students.pop() if len(found) > 1 and len(students) == 1 else ""


def names_in_pictures(found: Sequence[Cell]) -> list[str]:
    """Short names that tell the cells apart: without the student that all of them share."""
    student = shared_student(found)
    return [short(name.replace(f" {student}", "", 1) if student else name) for name in names_of(found)]
