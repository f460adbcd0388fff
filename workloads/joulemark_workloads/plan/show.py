"""`--plan`: phases, tokens, disk and a forecast of energy, as tables."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..config import Cell
from .rates import Rates, rates_for
from .steps import Step, steps_of

_TRAINING_FLOP, _FORWARD_FLOP = 6, 2
_MOST_CELLS = 12
_COLUMNS = ("phase", "tokens", "kind", "weights", "operations", "disk", "forecast")
_JOULES_PER_KWH = 3.6e6


def show(cells: list[Cell], work_dir: Path, tag: str, console: Console) -> None:
    """Print the plan of a grid."""
    rates = rates_for(cells[0].experiment, work_dir)
    console.print(f"[bold]{cells[0].experiment.name}[/]: {len(cells)} run(s)")
    shared: set[str] = set()
    every: list[Step] = []
    for number, cell in enumerate(cells):
        steps = steps_of(cell)
        fresh = [step for step in steps if not step.shared or step.shared not in shared]
        if number < _MOST_CELLS:
            console.print(f"\n[bold]{cell.run_name(tag)}[/]: {_training(cell, steps)}")
            console.print(_table(cell, steps, fresh, rates))
        shared |= {step.shared for step in steps}
        every += fresh
    if len(cells) > _MOST_CELLS:
        console.print(f"\n… and {len(cells) - _MOST_CELLS} more")
    passing = max(step.passing_bytes for step in every)
    console.print(
        f"\ndisk in all: {_bytes(sum(step.bytes for step in every))} that stay, {_bytes(passing)} while a student is "
        "trained; the models come beside it"
    )
    console.print(_total(every, rates))


def _training(cell: Cell, steps: list[Step]) -> str:
    training, block = cell.experiment.training, cell.experiment.data.block_tokens
    batch = training.effective_batch_blocks * block
    trained = next(step.tokens for step in steps if step.work == "training")
    return (
        f"effective batch {training.effective_batch_blocks} blocks of {block} tokens, {-(-trained // batch):,} steps "
        f"at most; {training.optimizer}, {training.schedule}, {training.warmup_steps} warm-up steps"
    )


def _table(cell: Cell, steps: list[Step], fresh: list[Step], rates: Rates | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("phase", "kind") else "right", no_wrap=True)
    prerun = cell.experiment.prerun
    table.add_row("prerun", f"{prerun.idle_seconds + prerun.burn_in_seconds:g} s")
    for step in steps:
        joules = rates.joules(step) if rates else None
        energy = "shared" if step not in fresh else _joules(joules)
        weights = f"{step.parameters / 1e9:.3g} B" if step.parameters else ""
        room = _bytes(step.bytes) if step.bytes else ""
        table.add_row(step.phase, f"{step.tokens:,}", step.kind, weights, _operations(step), room, energy)
    return table


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
