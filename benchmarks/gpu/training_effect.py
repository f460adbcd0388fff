"""What the meter does to a training job: the time of a step with and without an exporter, by turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path

from ..measured_exporter import MeasuredExporter
from .machines import Machine

TURNS = 3


def effect_table(machine: Machine, folder: Path, seconds: float) -> list[str]:
    """Median step times of each turn: alone, with an exporter, and with one that is told three transitions a second."""
    alone, metered, switched = [], [], []
    for turn in range(TURNS):
        alone.append(step_milliseconds(machine, seconds))
        with MeasuredExporter(folder / f"effect-{turn}", environment=machine.environment) as exporter:
            metered.append(step_milliseconds(machine, seconds))
            switched.append(_while_switching(exporter, machine, seconds))
    rows = ["| training | median step of each turn | mean | against alone |", "|---|---|---|---|"]
    for name, found in (("alone", alone), ("metered", metered), ("metered, 3 transitions a second", switched)):
        rows.append(_row(name, found, alone))
    return rows


def step_milliseconds(machine: Machine, seconds: float) -> float:
    """The median time of a training step over so many seconds, in a process of its own."""
    device = "cuda" if machine.real else "cpu"
    command = [sys.executable, "-m", f"{__package__}.training_steps", device, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    return statistics.median(float(line) for line in done.stdout.split())


def _while_switching(exporter: MeasuredExporter, machine: Machine, seconds: float) -> float:
    over = threading.Event()

    def switch() -> None:
        number = 0
        while not over.wait(1 / 3):
            number += 1
            exporter.switch(number)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        return step_milliseconds(machine, seconds)
    finally:
        over.set()
        thread.join()


def _row(name: str, found: list[float], alone: list[float]) -> str:
    pairs = [100 * (with_meter / without - 1) for with_meter, without in zip(found, alone, strict=True)]
    spread = statistics.stdev(pairs) / len(pairs) ** 0.5
    change = "" if found is alone else f"{statistics.mean(pairs):+.2f} ± {spread:.2f} %"
    return f"| {name} | {', '.join(f'{x:.3f} ms' for x in found)} | {statistics.mean(found):.3f} ms | {change} |"
