"""What comes before the work: is the machine free, how much does it draw at rest, and a short warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from rich.progress import track

from .. import ranks
from ..errors import WorkloadError
from ..models.load import device
from ..terminal import console
from . import gpu_guard
from .context import Context

Watts = dict[str, float]


def run(context: Context) -> dict[str, Any]:
    """Refuse a busy GPU, measure the idle baseline, burn in."""
    wanted = context.experiment.prerun
    facts: dict[str, Any] = {}
    if ranks.is_first():
        with context.run.stage("prerun", phase="idle"):
            facts["complaints"] = _look_at_gpus(context)
            facts["idle_watts"] = idle_baseline(context.run.power_watts, wanted.idle_seconds)
        if facts["idle_watts"]:
            context.run.declare(idle_watts=facts["idle_watts"])
            shown = ", ".join(f"{name} {watts:.1f} W" for name, watts in facts["idle_watts"].items())
            console.print(f"idle baseline: {shown}")
    ranks.barrier()
    with context.run.stage("prerun", phase="burn_in"):
        burn_in(wanted.burn_in_seconds)
    return facts


def _look_at_gpus(context: Context) -> list[str]:
    wanted = context.experiment.prerun
    found = gpu_guard.complaints(wanted.busy_utilization, min(1.0, wanted.idle_seconds))
    if found and wanted.on_busy == "refuse" and not context.even_if_busy:
        raise WorkloadError(
            f"the GPU is not free: {'; '.join(found)}. What is measured now would not be this run's alone: wait, or "
            "start with --even-if-busy"
        )
    for complaint in found:
        console.print(f"[yellow]measured all the same:[/] {complaint}")
    return found


def idle_baseline(power_watts: Callable[[], Watts | None], seconds: float, interval: float = 0.25) -> Watts:
    """Mean power by device in watts while nothing runs; empty where no power can be had."""
    sums: Watts = {}
    counts: dict[str, int] = {}
    rounds = range(max(1, round(seconds / interval)))
    for _ in track(rounds, description="idle baseline", console=console):
        time.sleep(interval)
        for name, watts in (power_watts() or {}).items():
            sums[name] = sums.get(name, 0.0) + watts
            counts[name] = counts.get(name, 0) + 1
    return {name: total / counts[name] for name, total in sums.items()}


def burn_in(seconds: float) -> None:
    """Keep the device busy, so that the first stage does not start on a cold one."""
    size = 4096 if torch.cuda.is_available() else 1024
    square = torch.ones(size, size, device=device()) / size
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        square = square @ square
        if torch.cuda.is_available():
            torch.cuda.synchronize()
