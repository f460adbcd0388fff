"""Files as other tools write them, small."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from joulemark.imports import ImportedRun
from joulemark.imports.stage_map import StageMap

NOTHING_SAID = StageMap()


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def emission(**fields: Any) -> dict[str, Any]:
    """A line with the columns of CodeCarbon 3, in its order."""
    known = {
        "timestamp": "2026-05-01T10:00:00", "project_name": "kd run/1", "run_id": "845a8f50-28d2", "experiment_id": "e",
        "duration": 100.0, "emissions": 0.01, "emissions_rate": 1e-4, "cpu_power": 42.5, "gpu_power": 300.0,
        "ram_power": 20.0, "cpu_energy": 0.001, "gpu_energy": 0.012, "ram_energy": 0.0005, "energy_consumed": 0.0135,
        "water_consumed": 0.0, "country_name": "France", "country_iso_code": "FRA", "region": "", "cloud_provider": "",
        "cloud_region": "", "os": "Linux", "python_version": "3.11", "codecarbon_version": "3.0.7", "cpu_count": 16,
        "cpu_model": "x", "gpu_count": 1, "gpu_model": "1 x H100", "longitude": 2.0, "latitude": 48.0,
        "ram_total_size": 128.0, "tracking_mode": "machine", "on_cloud": "N", "pue": 1.0, "wue": 0.0,
    }  # fmt: skip
    return {**known, **fields}


def window(name: str, begin: float, seconds: float, *gpus: float) -> dict[str, Any]:
    energy = {f"gpu{index}_energy": value for index, value in enumerate(gpus)}
    return {"start_time": begin, "window_name": name, "elapsed_time": seconds, **energy}


def harness_stage(stage_id: str, **fields: Any) -> dict[str, Any]:
    """What the harness writes of a stage."""
    known = {
        "stage_id": stage_id, "stage_name": stage_id,
        "start_time": 1000.0, "end_time": 1100.0, "duration_seconds": 100.0,
        "tokens_processed": 5000, "gpu_energy_joules": 22000.0, "gpu_avg_power_watts": 220.0,
        "gpu_peak_power_watts": 368.4, "gpu_power_samples": [200.0, 240.0], "codecarbon_energy_kwh": 0.0,
        "codecarbon_emissions_kg": 0.0, "cpu_energy_joules": 3000.0, "total_energy_joules": 25000.0, "kwh_total": 0.007,
        "joules_per_token": 5.0, "tokens_per_second": 50.0, "nvml_poll_interval_ms": 500,
    }  # fmt: skip
    return {**known, **fields}


def put(folder: Path, name: str, data: object) -> None:
    path = folder / "stages" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def joules(run: ImportedRun) -> dict[tuple[str, str], float]:
    return {(stage.stage, stage.phase): math.fsum(stage.joules.values()) for stage in run.stages}
