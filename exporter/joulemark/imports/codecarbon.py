"""CodeCarbon's emissions.csv, and the file by task that its `start_task` writes; energies in kWh.

A tracker that writes more than once adds a line each time with its sums so far: the last one of a run_id counts. Its
energies are multiplied by PUE (column `pue`); here PUE never touches a joule, so they are divided by it again. GPU
energy comes from the hardware; of CPU and RAM the file does not say what was measured and what a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ..accounting import JOULES_PER_KWH
from .columns import Line, lines_of
from .imported_run import END_TO_END, ImportedRun, ImportedStage, ImportFailed
from .stage_map import StageMap, merged

IMPORTER = "codecarbon"
_MEASURED, _ESTIMATED = ("gpu",), ("cpu", "ram")


def codecarbon_runs(
    path: Path, stages: StageMap, facts: Mapping[str, object], *, name: str = "", with_estimates: bool = False
) -> list[ImportedRun]:
    """A run for each run_id, named by its project and id, or by `name` where the file holds one. Raises ImportFailed.

    Only GPU energy is taken, origin measured; with estimates CPU and RAM too, origin modelled.
    """
    by_run: dict[str, dict[str, Line]] = {}
    for line in lines_of(path, ("run_id", "project_name", "duration", "cpu_energy", "gpu_energy", "ram_energy")):
        last = by_run.setdefault(line.text("run_id"), {})
        task = line.text("task_name")
        if task not in last or line.amount("duration") >= last[task].amount("duration"):
            last[task] = line
    if name and len(by_run) > 1:
        raise ImportFailed(f"{path} holds {len(by_run)} runs, which cannot all be named {name!r}: leave --run out")
    return [_run(list(lines.values()), stages, facts, name, with_estimates) for lines in by_run.values()]


def _run(
    lines: list[Line], stages: StageMap, facts: Mapping[str, object], name: str, with_estimates: bool
) -> ImportedRun:
    found = [_stage(line, stages, with_estimates) for line in lines]
    first = lines[0]
    if not any(stage.joules for stage in found):
        raise ImportFailed(
            f"{first.path}, line {first.number}: no GPU energy; --with-estimates takes that of CPU and RAM, as modelled"
        )
    project = re.sub(r"[^A-Za-z0-9._:@+-]", "-", first.text("project_name")).strip("-") or IMPORTER
    labels = {"file": first.path.name, "run_id": first.text("run_id")}
    if first.text("codecarbon_version"):
        labels["codecarbon_version"] = first.text("codecarbon_version")
    return ImportedRun(
        name=name or f"{project[:100]}-{first.text('run_id')[:8]}",
        origin="modelled" if with_estimates else "measured",
        importer=IMPORTER,
        stages=merged(found),
        facts=facts,
        labels=labels,
    )


def _stage(line: Line, stages: StageMap, with_estimates: bool) -> ImportedStage:
    task = line.text("task_name")
    stage, phase = stages.of(task) if task else stages.said.get("", (END_TO_END, ""))
    pue = line.amount("pue") or 1.0
    parts = (*_MEASURED, *(_ESTIMATED if with_estimates else ()))
    joules = {part: line.amount(f"{part}_energy") * JOULES_PER_KWH / pue for part in parts}
    seconds, ended = line.amount("duration"), _instant(line)
    return ImportedStage(
        stage,
        {f"{IMPORTER}-{part}": value for part, value in joules.items() if value > 0},
        phase,
        seconds=seconds,
        started_at=None if ended is None else ended - seconds,
        ended_at=ended,
    )


def _instant(line: Line) -> float | None:
    """When the line was written: CodeCarbon writes local time without a zone."""
    try:
        return datetime.fromisoformat(line.text("timestamp").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
