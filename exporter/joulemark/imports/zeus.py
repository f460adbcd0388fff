"""Zeus' window log: the CSV that `ZeusMonitor(log_file=…)` writes, joules of each GPU by window.

Columns: start_time (Unix seconds), window_name, elapsed_time (seconds), gpu0_energy, gpu1_energy, … (joules). Zeus lets
windows overlap and counts such energy in each; here no joule may count twice. So a window inside another takes its
energy away from that one, as a nested stage does, and windows that cross are refused. Origin: measured, as Zeus reads
NVML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .columns import Line, lines_of
from .imported_run import ImportedRun, ImportedStage, ImportFailed
from .stage_map import StageMap, merged

IMPORTER = "zeus"
_ENERGY = re.compile(r"gpu(\d+)_energy")
# The log's instants are written with microseconds, and one window ends where the next begins.
_SLACK_SECONDS = 1e-3


@dataclass
class _Window:
    line: Line
    name: str
    begin: float
    end: float
    joules: dict[str, float]
    inside: list[_Window] = field(default_factory=list)


def zeus_run(
    path: Path, name: str, stages: StageMap, facts: Mapping[str, object], only: Sequence[str] = ()
) -> ImportedRun:
    """The log as a run of this name; `only` names the windows to take, all when empty. Raises ImportFailed."""
    windows = [_window(line) for line in lines_of(path, ("start_time", "window_name", "elapsed_time"))]
    if only:
        windows = [window for window in windows if window.name in only]
    if not any(window.joules for window in windows):
        raise ImportFailed(f"{path} has no energy of any GPU in these windows: there is nothing to import")
    _nest(windows)
    return ImportedRun(
        name=name,
        origin="measured",
        importer=IMPORTER,
        stages=merged([_stage(window, stages) for window in windows]),
        facts=facts,
        labels={"file": path.name},
    )


def _window(line: Line) -> _Window:
    begin = line.amount("start_time")
    joules = {
        f"{IMPORTER}-gpu{match[1]}": line.amount(column)
        for column in line.cells
        if (match := _ENERGY.fullmatch(column)) and line.text(column)
    }
    return _Window(line, line.text("window_name"), begin, begin + line.amount("elapsed_time"), joules)


def _nest(windows: list[_Window]) -> None:
    """Find for each window those directly inside it; raises ImportFailed where two cross."""
    windows.sort(key=lambda window: (window.begin, -window.end))
    around: list[_Window] = []
    for window in windows:
        while around and around[-1].end <= window.begin + _SLACK_SECONDS:
            around.pop()
        if around and window.end > around[-1].end + _SLACK_SECONDS:
            other = around[-1]
            raise ImportFailed(
                f"{window.line.path}: windows {other.name!r} (line {other.line.number}) and {window.name!r} (line "
                f"{window.line.number}) cross, so their joules cannot be told apart: take some windows only by --window"
            )
        if around:
            around[-1].inside.append(window)
        around.append(window)


def _stage(window: _Window, stages: StageMap) -> ImportedStage:
    """The window's own energy and time, without those of the windows inside it."""
    stage, phase = stages.of(window.name)
    joules = dict(window.joules)
    for inner in window.inside:
        for device, value in inner.joules.items():
            # Counters tick: a window inside may show a little more than the one around it has left.
            joules[device] = max(0.0, joules.get(device, 0.0) - value)
    seconds = (window.end - window.begin) - sum(inner.end - inner.begin for inner in window.inside)
    return ImportedStage(stage, joules, phase, seconds=max(0.0, seconds), started_at=window.begin, ended_at=window.end)
