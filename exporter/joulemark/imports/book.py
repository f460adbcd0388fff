"""Puts imported runs into a ledger on disk, so that an exporter started on it afterwards shows them.

A run is booked once: the same run again changes nothing, another one of its name is refused. So no counter that an
exporter has shown can go down, and the devices' totals stay the sum of their stages.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..attribution.attribution import DeviceAccount
from ..disk.store import Store
from ..errors import LedgerError
from ..ledger.ledger import Ledger
from ..ledger.state import Run, State
from ..ledger.windows import ENDED, SeriesKey, Totals, Window
from ..sources.base import Device
from .imported_run import ImportedRun, ImportedStage, ImportFailed


@dataclass(frozen=True)
class Booked:
    """What an import did: runs that are new, and runs that were there already, exactly so."""

    added: tuple[str, ...]
    unchanged: tuple[str, ...]


def book(runs: Sequence[ImportedRun], state_dir: Path) -> Booked:
    """Add the runs to the ledger in this folder; raises ImportFailed, and then nothing is added.

    Nobody else may hold the ledger meanwhile: a running exporter must be stopped first.
    """
    _refuse_twins(runs)
    try:
        store = Store(state_dir)
    except LedgerError as error:
        remedy = "A running exporter holds its ledger: stop it, import, and start it again" if _held(error) else ""
        raise ImportFailed(f"{error}. {remedy}" if remedy else str(error)) from error
    try:
        known = {run.name for run in runs if _is_there(store, run)}
        new = [run for run in runs if run.name not in known]
        if new:
            _add(store, new, time.time())
        return Booked(tuple(run.name for run in new), tuple(run.name for run in runs if run.name in known))
    finally:
        store.close()


def _held(error: LedgerError) -> bool:
    return isinstance(error.__cause__, BlockingIOError)


def _refuse_twins(runs: Sequence[ImportedRun]) -> None:
    names = [run.name for run in runs]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ImportFailed(f"the name {twins[0]!r} stands for more than one run of this import: import them apart")


def _is_there(store: Store, run: ImportedRun) -> bool:
    """Whether the ledger holds exactly this run already; raises ImportFailed where it holds another of the name."""
    known = store.recall(run.name)
    if known is None:
        return False
    there, series = known
    same = (
        (there.origin, there.declared) == (run.origin, run.declared)
        and series == _series(run.name, run.stages)
        and there.scores == {score.benchmark: score for score in run.scores}
        and there.artifacts == {(one.artifact, one.role): one for one in run.artifacts}
    )
    if not same:
        raise ImportFailed(
            f"the ledger has a run {run.name!r} with other figures: give the imported runs another --prefix"
        )
    return True


def _add(store: Store, runs: Iterable[ImportedRun], now: float) -> None:
    state = store.load(0, None)
    changes = Ledger(state, recall=store.recall).changes
    for run in runs:
        # Where no instant is known, the order is kept all the same.
        now += 1e-3
        state.runs[run.name] = Run(
            run.name, _began(run, now), now, run.origin, run.declared,
            scores={score.benchmark: score for score in run.scores},
            artifacts={(one.artifact, one.role): one for one in run.artifacts},
        )  # fmt: skip
        changes.of_run(run.name)
        changes.facts.add(run.name)
        state.series.update(_series(run.name, run.stages))
        for place, stage in enumerate(run.stages):
            window = _window(run.name, stage, now + 1e-5 * place)
            state.windows[window.id] = window
            changes.of_window(window)
            _charge_devices(state, stage, run.importer)
            changes.devices |= set(stage.joules)
    # In one commit: a run that is in the ledger is there as a whole.
    if not store.journal.wait(store.save(changes)):
        raise ImportFailed(f"{store.path} cannot be written: free space or make the disk writable, then import again")


def _series(name: str, stages: Iterable[ImportedStage]) -> dict[SeriesKey, Totals]:
    series: dict[SeriesKey, Totals] = {}
    for stage in stages:
        key = SeriesKey(name, stage.stage, stage.phase)
        totals = series.setdefault(key, Totals(bound_joules=math.inf))
        totals.seconds += stage.seconds
        totals.peak_watts = max(totals.peak_watts, stage.peak_watts)
        for device, joules in stage.joules.items():
            totals.joules[device] = totals.joules.get(device, 0.0) + joules
        for kind, count in stage.tokens.items():
            totals.tokens[kind] = totals.tokens.get(kind, 0) + count
    return series


def _began(run: ImportedRun, now: float) -> float:
    return min((stage.started_at for stage in run.stages if stage.started_at is not None), default=now)


def _window(name: str, stage: ImportedStage, now: float) -> Window:
    """An ended window for the stage, so that it has its place in the order of the run's stages."""
    key = SeriesKey(name, stage.stage, stage.phase)
    return Window(
        id=uuid.uuid4().hex[:16],
        key=key,
        devices=sorted(stage.joules),
        started_at=now if stage.started_at is None else stage.started_at,
        ended_at=now if stage.ended_at is None else stage.ended_at,
        state=ENDED,
        totals=_series(name, [stage])[key],
    )


def _charge_devices(state: State, stage: ImportedStage, importer: str) -> None:
    """Book the joules to devices of the importer's own: nobody reads those, and their stages add up to them."""
    for device, joules in stage.joules.items():
        if device not in state.accounts:
            state.accounts[device] = DeviceAccount(Device(name=device, key=device, source=importer))
        state.accounts[device].total_joules += joules
