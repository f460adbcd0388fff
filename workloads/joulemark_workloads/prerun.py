"""What comes before the work: how much the machine draws at rest, and a short warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rich.progress import track

from .language_model import device

Watts = dict[str, float]


def idle_baseline(power_watts: Callable[[], Watts | None], seconds: float, interval: float = 0.25) -> Watts:
    """Mean power by device in watts while nothing runs; empty where no power can be had."""
    sums: Watts = {}
    counts: dict[str, int] = {}
    for _ in track(range(max(1, round(seconds / interval))), description="idle baseline"):
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
