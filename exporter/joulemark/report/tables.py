"""The paper's tables, made once and shown in every form: end to end, by stage, break-even, sweeps, CO2e and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..accounting import ACCOUNTINGS, AMORTIZED, AS_RUN, ONE_OFF, REASONS, Breakeven, Reason, Spread
from ..names import CANONICAL_STAGES
from . import derived, scores
from .cells import Cell, labels_that_vary, names_of, optimal_cells, reasons
from .numbers import count, digits, fixed, percent, places_for, scale, with_bound
from .report import Report
from .rows import Account


@dataclass(frozen=True)
class Table:
    """A table of text; `words` says how many columns at the left are words, the others are figures."""

    key: str
    title: str
    caption: str
    words: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


# A column: its head, and what it says of a cell by its index.
Column = tuple[str, Callable[[int, Cell], str]]


def tables(report: Report) -> list[Table]:
    """Every table that has something to say."""
    if not report.cells:
        return []
    made = [
        _end_to_end(report),
        _by_stage(report),
        _breakeven(report),
        _sweeps(report),
        _scores(report),
        _footprint(report),
    ]
    return [table for table in made if table is not None]


def _end_to_end(report: Report) -> Table:
    cells = report.cells
    unit = _Unit.of(cells)
    best = optimal_cells(cells, ONE_OFF)
    shared = any(cell.energy(AMORTIZED).mean != cell.energy(AS_RUN).mean for cell in cells)
    owed = any(cell.energy(ONE_OFF).mean != cell.energy(AS_RUN).mean for cell in cells)
    columns: list[Column] = [(f"as run ({unit.name})", lambda _, cell: unit.energy(cell, AS_RUN))]
    if owed:
        columns.append((f"one-off ({unit.name})", lambda _, cell: unit.energy(cell, ONE_OFF)))
    if shared:
        columns.append((f"amortized ({unit.name})", lambda _, cell: unit.energy(cell, AMORTIZED)))
    columns += [
        ("J/token", lambda _, cell: _spread(cell.of(lambda one: one.figures.joules_per_token))),
        ("Q", lambda _, cell: _spread(cell.quality(), 2)),
        ("frontier", lambda index, _: "" if index not in best else "yes" if best[index] else "dominated"),
    ]
    return _table(
        report, "end_to_end", "End to end",
        "Energy of whole runs by who pays for the teacher; joules per token over the student's trained tokens; quality "
        f"Q over the teacher's; the frontier is over one-off energy and Q. {_plus_minus(cells)}"
        + (" A teacher's bound counts as its energy does, but is in no deviation." if owed or shared else ""),
        columns,
    )  # fmt: skip


def _by_stage(report: Report) -> Table:
    cells = report.cells
    unit = _Unit.of(cells)
    present = {stage for cell in cells for stage in cell.stages()}
    stages = [stage for stage in CANONICAL_STAGES if stage in present] + sorted(present - set(CANONICAL_STAGES))

    def column(stage: str) -> Column:
        return stage, lambda _, cell: unit.stage(cell, stage) or "–"

    columns = [
        *(column(stage) for stage in stages),
        ("total", lambda _, cell: unit.energy(cell, AS_RUN)),
        ("teacher share", lambda _, cell: percent(cell.of(lambda one: one.teacher_share).mean or None)),
    ]
    caption = f"Energy by stage in {unit.name}, as run. {_plus_minus(cells)}"
    return _table(report, "by_stage", "By stage", caption, columns)


def _breakeven(report: Report) -> Table | None:
    figures = [account.figures for account in report.accounts]
    if not any(one.bill.teacher_joules or one.bill.teacher_joules is None for one in figures):
        return None
    unit = _Unit.of(report.cells)
    columns: list[Column] = [
        (f"teacher ({unit.name})", lambda _, cell: unit.text(*cell.teacher())),
        (f"student ({unit.name})", lambda _, cell: unit.stage(cell, "student")),
        (f"baseline's student ({unit.name})", lambda _, cell: unit.text(*cell.baseline_student())),
        ("N*", lambda _, cell: _spread(cell.of(lambda one: one.figures.reuses.value), 2) or _why(cell, _reuses)),
        ("served J/token", lambda _, cell: digits(cell.of(lambda one: one.figures.serving_joules_per_token).mean)),
        ("reference J/token", lambda _, cell: digits(cell.of(lambda one: one.figures.reference_joules_per_token).mean)),
        ("T*", lambda _, cell: count(cell.of(lambda one: _served(one).value).mean) or _why(cell, _served)),
    ]
    found = {reason for cell in report.cells for get in (_reuses, _served) for reason in reasons(cell, get)}
    told = "".join(f" {_said(reason).capitalize()}: {REASONS[reason]}." for reason in sorted(found))
    caption = (
        "N* students must share the teacher's output, or T* generated tokens be served, before the run has cost less "
        f"than its baseline.{told} {_plus_minus(report.cells)}"
    )
    return _table(report, "break_even", "Was it worth it?", caption, columns)


def _reuses(account: Account) -> Breakeven:
    return account.figures.reuses


def _served(account: Account) -> Breakeven:
    return account.figures.served_tokens


def _why(cell: Cell, figure: Callable[[Account], Breakeven]) -> str:
    return ", ".join(_said(reason) for reason in reasons(cell, figure))


def _said(reason: Reason) -> str:
    return reason.replace("_", " ")


def _sweeps(report: Report) -> Table | None:
    swept = labels_that_vary(report.cells)
    if not swept:
        return None
    unit = _Unit.of(report.cells)

    def label(name: str) -> Column:
        return name, lambda _, cell: dict(cell.key.labels).get(name, "")

    columns = [
        *(label(name) for name in swept),
        (f"one-off ({unit.name})", lambda _, cell: unit.energy(cell, ONE_OFF)),
        (f"teacher ({unit.name})", lambda _, cell: unit.stage(cell, "teacher")),
        (f"student ({unit.name})", lambda _, cell: unit.stage(cell, "student")),
        ("J/token", lambda _, cell: _spread(cell.of(lambda one: one.figures.joules_per_token))),
        ("Q", lambda _, cell: _spread(cell.quality(), 2)),
    ]
    return _table(report, "sweeps", "Sweeps", f"What was varied: {', '.join(swept)}.", columns)


def _scores(report: Report) -> Table | None:
    shown = scores.benchmarks(report.cells)
    if not shown:
        return None
    rows = tuple(scores.score_rows(report.cells, report.untrained))
    return Table("scores", "Scores", scores.CAPTION, 1, ("", "runs", *shown), rows)


def _footprint(report: Report) -> Table | None:
    factors = report.factors
    if not derived.can_derive(factors):
        return None
    columns: list[Column] = []
    for accounting in ACCOUNTINGS:
        name = accounting.replace("_", "-")
        if factors.grid is not None:
            columns.append((f"{name} g CO2e", _derived(accounting, lambda joules: derived.co2e_grams(factors, joules))))
        if factors.price_per_kwh is not None:
            columns.append(
                (f"{name} {factors.currency}", _derived(accounting, lambda joules: derived.cost(factors, joules)))
            )
    caption = f"Derived from energy, not measured, with {derived.told(factors)}."
    return _table(report, "footprint", "CO2e and cost", caption, columns)


def _derived(accounting: str, of: Callable[[float | None], float | None]) -> Callable[[int, Cell], str]:
    return lambda _, cell: digits(of(cell.energy(accounting).mean))


def _table(report: Report, key: str, title: str, caption: str, columns: Sequence[Column]) -> Table:
    """The table with the columns that every one has: what the cell is, how many runs, and their origin."""
    cells = report.cells
    head: list[tuple[str, Callable[[int, Cell], str]]] = [("", lambda index, _: names[index])]
    names = names_of(cells)
    if len({cell.key.dataset for cell in cells}) > 1:
        head.append(("data", lambda _, cell: cell.key.dataset))
    words = len(head)
    whole = [*head, ("runs", lambda _, cell: f"{len(cell.runs)}"), *columns]
    if any(cell.key.origin != "measured" for cell in cells):
        whole.append(("origin", lambda _, cell: cell.key.origin))
    said = [(name, [say(index, cell) for index, cell in enumerate(cells)]) for name, say in whole]
    # A column that says nothing of any cell is left out.
    said = [(name, column) for name, column in said if any(column)]
    rows = tuple(zip(*(column for _, column in said), strict=True))
    return Table(key, title, caption, words, tuple(name for name, _ in said), rows)


@dataclass(frozen=True)
class _Unit:
    """The unit of a table's energies, and how many decimal places they have."""

    factor: float
    name: str
    places: int

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> _Unit:
        """The unit that fits the largest energy."""
        energies = (cell.energy(ONE_OFF).mean or cell.energy(AS_RUN).mean or 0.0 for cell in cells)
        largest = max(energies, default=0.0)
        factor, name = scale(largest)
        return cls(factor, name, places_for(largest * factor))

    def energy(self, cell: Cell, accounting: str) -> str:
        """A cell's energy in an accounting, with its deviation or bound."""
        return self.text(cell.energy(accounting).mean, cell.error(accounting))

    def stage(self, cell: Cell, stage: str) -> str:
        """The energy of a cell's stage, with its deviation or bound."""
        return self.text(cell.stage(stage).mean, cell.stage_error(stage))

    def text(self, joules: float | None, error: float | None) -> str:
        """So many joules ± a deviation or bound, nothing where there are none."""
        if joules is None:
            return ""
        return with_bound(joules * self.factor, error * self.factor if error else None, self.places)


def _spread(spread: Spread, places: int | None = None) -> str:
    """Mean ± deviation; of one run its figure alone."""
    if spread.mean is None:
        return ""
    if spread.deviation:
        return with_bound(spread.mean, spread.deviation)
    return digits(spread.mean) if places is None else fixed(spread.mean, places)


def _plus_minus(cells: Sequence[Cell]) -> str:
    """What ± means in this table."""
    kinds = []
    if any(not cell.single for cell in cells):
        kinds.append(
            "between runs that differ in seed alone the sample standard deviation (of what one of them has or all "
            "share the bound)"
        )
    if any(cell.bound(AS_RUN) is not None for cell in cells if cell.single):
        kinds.append("of a single run (runs = 1: no spread) the bound from counter ticks and gaps")
    return f"± is {'; '.join(kinds)}." if kinds else "Every cell is a single run: no spread."
