"""`--plan`: phases, tokens, disk and a forecast of energy, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from ..config import Cell
from .rates import Rates, rates_for
from .steps import Step, steps_of

_TRAINING_FLOP, _FORWARD_FLOP = 6, 2
_MOST_GROUPS = 12
_COLUMNS = ("phase", "tokens", "kind", "weights", "operations", "disk", "forecast")
_JOULES_PER_KWH = 3.6e6


class _Planned(NamedTuple):
    """A run, its steps, and those of them that no run before it pays for."""

    cell: Cell
    steps: list[Step]
    fresh: list[Step]


def show(cells: list[Cell], work_dir: Path, tag: str, console: Console) -> None:
    """Print the plan of a grid; runs that take the same are one table."""
    rates = rates_for(cells[0].experiment, work_dir)
    console.print(f"[bold]{cells[0].experiment.name}[/]: {len(cells)} run(s)")
    planned = _planned(cells)
    groups = _alike(planned)
    for group in groups[:_MOST_GROUPS]:
        console.print(f"\n[bold]{_title(group, tag)}[/]: {_training(*group[0][:2])}")
        console.print(_table(group, rates))
        for note in _shared(group):
            console.print(f"[dim]{note}[/]")
    if len(groups) > _MOST_GROUPS:
        console.print(f"\n… and {sum(map(len, groups[_MOST_GROUPS:]))} runs more")
    every = [step for run in planned for step in run.fresh]
    passing = max(step.passing_bytes for step in every)
    console.print(
        f"\ndisk in all: {_bytes(sum(step.bytes for step in every))} that stay, {_bytes(passing)} while a student is "
        "trained; the models come beside it"
    )
    console.print(_total(every, rates))


def _planned(cells: list[Cell]) -> list[_Planned]:
    shared: set[str] = set()
    planned = []
    for cell in cells:
        steps = steps_of(cell)
        planned.append(_Planned(cell, steps, [step for step in steps if step.shared not in shared]))
        shared |= {step.shared for step in steps if step.shared}
    return planned


def _alike(planned: list[_Planned]) -> list[list[_Planned]]:
    """Runs together that do the same work; which artifact they share is told in the table."""
    groups: dict[object, list[_Planned]] = {}
    for run in planned:
        work = tuple(step._replace(shared="") for step in run.steps)
        student = run.cell.experiment.student.model_dump_json()
        groups.setdefault((run.cell.pipeline, student, _training(run.cell, run.steps), work), []).append(run)
    return list(groups.values())


def _title(group: list[_Planned], tag: str) -> str:
    """The run's name; of several what they have in common, and the values in which they differ."""
    first = group[0].cell
    if len(group) == 1:
        return first.run_name(tag)
    values = {key: list(dict.fromkeys(run.cell.axes[key] for run in group)) for key in first.axes}
    common = [_axis(key, found) for key, found in values.items() if len(found) == 1]
    differing = [_axis(key, found) for key, found in values.items() if len(found) > 1]
    return f"{', '.join([first.pipeline, *common])}: {len(group)} runs ({'; '.join(differing)}), each"


def _axis(key: str, values: list[str]) -> str:
    return f"{key.rpartition('.')[2]} {', '.join(value.rpartition('/')[2] for value in values)}"


def _training(cell: Cell, steps: list[Step]) -> str:
    training, block = cell.experiment.training, cell.experiment.data.block_tokens
    batch = training.effective_batch_blocks * block
    trained = next(step.tokens for step in steps if step.work == "training")
    return (
        f"effective batch {training.effective_batch_blocks} blocks of {block} tokens, {-(-trained // batch):,} steps "
        f"at most; {training.optimizer}, {training.schedule}, {training.warmup_steps} warm-up steps"
    )


def _table(group: list[_Planned], rates: Rates | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("phase", "kind") else "right", no_wrap=True)
    prerun = group[0].cell.experiment.prerun
    table.add_row("prerun", f"{prerun.idle_seconds + prerun.burn_in_seconds:g} s")
    for number, step in enumerate(group[0].steps):
        energy = _joules(rates.joules(step) if rates else None) if _payers(group, number) else "shared"
        weights = f"{step.parameters / 1e9:.3g} B" if step.parameters else ""
        room = _bytes(step.bytes) if step.bytes else ""
        table.add_row(step.phase, f"{step.tokens:,}", step.kind, weights, _operations(step), room, energy)
    return table


def _payers(group: list[_Planned], number: int) -> int:
    return sum(run.steps[number] in run.fresh for run in group)


def _shared(group: list[_Planned]) -> Iterator[str]:
    """Which steps only some runs of a group pay for."""
    for number, step in enumerate(group[0].steps):
        payers = _payers(group, number)
        if 0 < payers < len(group):
            yield f"the {step.phase} works in {payers} of the {len(group)} runs, which the others share"


def _operations(step: Step) -> str:
    per_weight = _TRAINING_FLOP if step.work == "training" else _FORWARD_FLOP
    return f"{per_weight * step.parameters * step.tokens:.1e}" if step.parameters else ""


def _total(steps: list[Step], rates: Rates | None) -> str:
    joules = [rates.joules(step) for step in steps] if rates else [None]
    if rates is None or None in joules:
        return (
            "energy: no forecast in all, as nothing alike was measured here yet and the experiment names no "
            "'hardware'; what is run is measured, and the next plan knows it"
        )
    seconds = [value for step in steps if (value := rates.seconds(step)) is not None]
    time = f", {sum(seconds) / 60:.1f} min" if len(seconds) == len(steps) else ""
    energy = _joules(sum(value for value in joules if value is not None))
    return f"energy in all: about {energy}{time}, prerun aside; a forecast from rates {rates.source}"


def _joules(joules: float | None) -> str:
    if joules is None:
        return ""
    return f"{joules / _JOULES_PER_KWH:,.2f} kWh" if joules > _JOULES_PER_KWH / 10 else f"{joules:,.0f} J"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
