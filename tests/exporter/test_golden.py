"""A whole /metrics page, compared end to end with one that was looked at: a change of it is a change of the product."""

from __future__ import annotations

import math
import os
from pathlib import Path

from joulemark.carbon import Intensity
from joulemark.clock import ManualClock
from joulemark.exposition.page import Page
from joulemark.factors import Factors
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.replay import ReplaySource, Trace

GOLDEN = Path(__file__).with_name("golden_metrics.txt")
# What the machine's own speed decides, and an id that is made up anew.
VOLATILE = ("joulemark_read_duration_seconds{", "joulemark_ledger_commit_seconds ", "joulemark_ledger_info{")
# How a tick's joules are split, and how its beat is found, is measured elsewhere. Here they are rounded to so much.
ROUNDED = {
    "joulemark_energy_joules_total": 10.0,
    "joulemark_power_integral_joules_total": 10.0,
    "joulemark_energy_uncertainty_joules": 100.0,
    "joulemark_counter_tick_seconds": 0.01,
}


def rounded(line: str) -> str:
    """The line with its value rounded, up where it is a bound."""
    name, _, value = line.rstrip().rpartition(" ")
    step = ROUNDED.get(name.partition("{")[0])
    if step is None:
        return line
    steps = math.ceil(float(value) / step) if "uncertainty" in name else round(float(value) / step)
    return f"{name} {steps * step}\n"


def test_the_page_is_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock()
    source = ReplaySource(clock, {"gpu0": Trace(((1.0, 100.0),)), "gpu1": Trace(((1.0, 300.0),))}, epoch="e")
    factors = Factors(1.2, Intensity("DE", 344.14, "Ember 2024"), 0.25, "EUR")
    meter = Meter([source], tmp_path, clock, factors=factors, gpus_present=2)
    facts: dict[str, object] = {"pipeline": "kd", "teacher": "T", "student": "S", "dataset": "D", "seed": 7}
    facts |= {"baseline": "sft-1", "reference": "ref-1", "idle_watts": {"gpu0": 61.5}, "labels": {"alpha": "0.5"}}
    meter.declare("kd-1", facts)
    meter.score("kd-1", "gsm8k", 0.5, 0.75, 1319)
    meter.artifact("kd-1", "sha256:0", "logit_cache", "produced")
    for stage, seconds in (("teacher", 2.0), ("student", 3.0)):
        summary, _ = meter.begin(StageRequest("kd-1", stage, "kd" if stage == "student" else "logit_caching"))
        for _ in range(round(seconds * 128)):
            clock.advance(1 / 128)
            meter.sample()
        meter.heartbeat(str(summary["id"]), {"trained": 1000} if stage == "student" else {"cached": 500})
    page = Page("0.0.0").text(meter.snapshot(), openmetrics=False).decode()
    meter.close()
    lines = [rounded(line) for line in page.splitlines(keepends=True) if not line.startswith(VOLATILE)]
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text("".join(lines))
    assert "".join(lines) == GOLDEN.read_text(), "if this change is meant, run once with UPDATE_GOLDEN=1 and look at it"
