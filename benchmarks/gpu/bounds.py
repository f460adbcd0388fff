"""Whether the stated uncertainty holds, against the average of many stages that were made alike.

Without a wattmeter the true energy of one stage is not known. But many stages of one length under one load have one
mean, in which what boundaries put on the wrong side cancels out. How far single stages lie from it is held against the
bounds that were stated for them. A sensor that is wrong as a whole does not show in this.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from joulemark.client import Transport

from .machines import Machine

LENGTHS_SECONDS = (0.35, 1.0, 3.0)
# What a chip draws varies by itself from stage to stage; so much of the mean is not held against the bound.
_OWN_VARIATION = 0.002


@dataclass(frozen=True)
class Made:
    """One stage as it was booked."""

    stage: str
    seconds: float
    joules: float
    bound: float


def bounds_table(machine: Machine, url: str, seconds: float) -> list[str]:
    """Stages that alternate between load and rest, of several lengths; one row for each length and kind."""
    rows = [
        "| stage | length | stages | mean power | within the bound | median distance | median bound |",
        "|---|---|---|---|---|---|---|",
    ]
    for length in LENGTHS_SECONDS:
        made = alternate(machine, Transport(url, None), f"bounds-{length}", length, max(10, int(seconds / length)))
        rows += [_row(kind, length, [one for one in made if one.stage == kind]) for kind in ("load", "rest")]
    return rows


def alternate(machine: Machine, exporter: Transport, run: str, length: float, count: int) -> list[Made]:
    """Make so many stages, load and rest by turns; the load changes first, then the stage."""
    ids = []
    for number in range(count):
        stage = "rest" if number % 2 else "load"
        began = time.monotonic()
        machine.tell("off" if number % 2 else "on")
        ids.append(exporter.call("PUT", "/stage", {"run": run, "stage": stage})["id"])
        time.sleep(max(0.0, began + length - time.monotonic()))
    machine.tell("off")
    exporter.call("DELETE", f"/stage/{ids[-1]}", {})
    # The last boundaries are settled by ticks that come after them.
    time.sleep(3.0)
    # The first of each kind had another stage before it than all others.
    return [_made(exporter.call("DELETE", f"/stage/{window}", {})) for window in ids[2:]]


def _made(summary: dict[str, object]) -> Made:
    values = {key: summary[key] for key in ("seconds", "joules", "uncertainty_joules")}
    numbers = {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
    return Made(str(summary["stage"]), numbers["seconds"], numbers["joules"], numbers["uncertainty_joules"])


def _row(kind: str, length: float, made: list[Made]) -> str:
    watts = sum(one.joules for one in made) / sum(one.seconds for one in made)
    distances = [abs(one.joules - watts * one.seconds) for one in made]
    slack = _OWN_VARIATION * watts * length
    within = sum(distance <= one.bound + slack for distance, one in zip(distances, made, strict=True))
    return (
        f"| {kind} | {length:g} s | {len(made)} | {watts:.1f} W | {within} of {len(made)} | "
        f"{statistics.median(distances):.2f} J | {statistics.median(one.bound for one in made):.2f} J |"
    )
