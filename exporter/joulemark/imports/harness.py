"""The output folder of the paper's harness: a JSON file for each stage under `stages/`, energies in joules.

Its known faults are not taken over: preprocessing counts examples as tokens, so it gets none; snapshots of a stage
(`…__step_N.json`) hold its sums so far, so the last one counts, and only where the stage left no file of its own. GPU
energy is sampled power integrated, with failed readings passed over; of CPU energy the file does not say whether it was
measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .imported_run import ImportedRun, ImportedStage, ImportFailed
from .stage_map import StageMap, merged

IMPORTER = "harness"
# The kind of the tokens that a stage counts.
_TOKENS = {"logit_caching": "cached", "generation": "generated"}
_TOKENS_BY_STAGE = {"student": "trained", "eval": "evaluated"}


def harness_run(
    folders: Iterable[Path], name: str, stages: StageMap, facts: Mapping[str, object], *, with_estimates: bool = False
) -> ImportedRun:
    """All stages under these folders as one run, origin measured, with CPU energy too modelled. Raises ImportFailed."""
    found: dict[tuple[str, float], tuple[Path, dict[str, Any]]] = {}
    for folder in folders:
        for path, data in _stage_files(folder):
            key = (str(data["stage_id"]), _amount(path, data, "start_time"))
            if key not in found or _amount(path, data, "end_time") >= _amount(*found[key], "end_time"):
                found[key] = (path, data)
    booked = [_stage(path, data, stages, with_estimates) for path, data in found.values()]
    if not any(stage.joules for stage in booked):
        raise ImportFailed("no stage here has GPU energy: there is nothing measured to import")
    return ImportedRun(
        name=name,
        origin="modelled" if with_estimates else "measured",
        importer=IMPORTER,
        stages=merged(booked),
        facts=facts,
        labels={"files": " ".join(sorted({path.name for path, _ in found.values()}))[:256]},
    )


def _stage_files(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The files that hold a stage; the copies of configuration, environment and summary beside them hold none."""
    root = folder / "stages" if (folder / "stages").is_dir() else folder
    files = []
    for path in sorted(root.rglob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ImportFailed(f"{path} cannot be read: {error}") from error
        if isinstance(data, dict) and "stage_id" in data and "gpu_energy_joules" in data:
            files.append((path, data))
    if not files:
        raise ImportFailed(f"no stage of the harness under {folder}: name its run folder, the one with 'stages' in it")
    return files


def _stage(path: Path, data: Mapping[str, Any], stages: StageMap, with_estimates: bool) -> ImportedStage:
    stage, phase = stages.of(str(data["stage_id"]))
    joules = {f"{IMPORTER}-gpu": _amount(path, data, "gpu_energy_joules")}
    if with_estimates:
        joules[f"{IMPORTER}-cpu"] = _amount(path, data, "cpu_energy_joules")
    kind = _TOKENS.get(phase) or _TOKENS_BY_STAGE.get(stage)
    tokens = round(_amount(path, data, "tokens_processed"))
    return ImportedStage(
        stage,
        {device: value for device, value in joules.items() if value > 0},
        phase,
        seconds=_amount(path, data, "duration_seconds"),
        tokens={kind: tokens} if kind and tokens else {},
        started_at=_amount(path, data, "start_time") or None,
        ended_at=_amount(path, data, "end_time") or None,
        peak_watts=_amount(path, data, "gpu_peak_power_watts"),
    )


def _amount(path: Path, data: Mapping[str, Any], field: str) -> float:
    """A number of 0 or more, 0 where an older harness has no such field."""
    value = data.get(field) or 0.0
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ImportFailed(f"{path}: {field} is {value!r}, not a number of 0 or more")
    return float(value)
