"""Runs a case many times, each time with another phase of the card's ticks and another lateness of the readings."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvml_mock import Gpu, StageError, VirtualBench

from .cases import Case, Wanted

# Until the counter's beat is learnt, as on any exporter that runs already.
_WARM_SECONDS = 5.0


@dataclass(frozen=True)
class Result:
    """What came of all runs of a case: every stage's error on every GPU and on all of them together (its window),
    each run's total error as a part, its gaps in seconds.
    """

    case: Case
    stages: tuple[StageError, ...]
    windows: tuple[StageError, ...]
    totals: tuple[float, ...]
    gaps: tuple[float, ...]
    residual: float
    reads_per_second: float

    @property
    def worst(self) -> float:
        """The largest error of a stage, in percent of it."""
        return 100 * max(stage.ratio for stage in self.stages)

    @property
    def mean(self) -> float:
        """The mean size of a stage's error, in percent."""
        return 100 * statistics.fmean(stage.ratio for stage in self.stages)

    @property
    def total(self) -> float:
        """What 95 of 100 runs stay within with the error of their whole energy, in percent."""
        return 100 * sorted(self.totals)[math.ceil(0.95 * len(self.totals)) - 1]

    @property
    def held(self) -> float:
        """Windows whose error is within the stated bound, in percent."""
        return 100 * statistics.fmean(window.holds for window in self.windows)

    @property
    def bound(self) -> float:
        """The median bound, in percent of its stage."""
        return 100 * statistics.median(window.bound / window.truth for window in self.windows)

    @property
    def missed(self) -> list[str]:
        """Which of the wanted figures were missed."""
        found = (self.worst, self.mean, self.total)
        limits = zip(Wanted._fields, found, self.case.wanted, strict=True)
        return [name for name, percent, limit in limits if limit is not None and percent > limit]


def measure(case: Case, library: Path, folder: Path, runs: int) -> Result:
    """Run a case `runs` times; `library` holds the mock NVML, `folder` takes scripts and ledgers."""
    stages: list[StageError] = []
    windows: list[StageError] = []
    totals, gaps, residuals, reads = [], [], [], []
    for seed in range(runs):
        bench = _bench(case, library, folder, seed)
        began = bench.clock.steady()
        errors = _run(case, bench, random.Random(seed))
        stages += errors
        windows += _windows(errors)
        totals.append(_total(errors))
        views = list(bench.meter.fleet.views())
        gaps.append(max(view.gap_seconds for view in views))
        reads.append(sum(view.health.reads for view in views) / len(views) / (bench.clock.steady() - began))
        residuals.append(abs(bench.residual()))
        bench.stop()
    return Result(
        case, tuple(stages), tuple(windows), tuple(totals), tuple(gaps), max(residuals), statistics.fmean(reads)
    )


def _run(case: Case, bench: VirtualBench, chance: random.Random) -> list[StageError]:
    stages = case.stages(chance)
    if not case.lags:
        return bench.run(stages)
    least, most = case.lags
    return bench.run_lagging(stages, lambda: chance.uniform(least, most))


def _bench(case: Case, library: Path, folder: Path, seed: int) -> VirtualBench:
    chance = random.Random(1000 + seed)
    card = {"tick": 0.1, "power_tick": 0.1, **case.card}
    if case.draw_card:
        card |= {
            "tick": chance.uniform(0.02, 0.1),
            "power_tick": chance.uniform(0.02, 0.1),
            "jitter": chance.choice((0.0, 0.0, 0.05, 0.1, 0.2, 0.4)),
            "latency": chance.choice((0.0, 0.0005, 0.001, 0.005, 0.02)),
        }
    gpus = [Gpu({**card, "phase": chance.random() * card["tick"]}) for _ in range(case.gpus)]
    bench = VirtualBench(library, folder, gpus, seed=seed, use_counter=case.use_counter)
    bench.wait(_WARM_SECONDS)
    now = bench.clock.steady()
    for fault in case.faults:
        if fault.kind == "reset":
            bench.script.reset(now + fault.begin)
        else:
            bench.script.fault(fault.kind, now + fault.begin, now + fault.end)
    bench.script.save()
    return bench


def _windows(errors: Sequence[StageError]) -> list[StageError]:
    """One entry a stage, with its energy on all GPUs: a window's bound is of all of them together."""
    found = []
    for stage in dict.fromkeys(error.stage for error in errors):
        parts = [error for error in errors if error.stage == stage]
        truth, joules, integral = (
            sum(values) for values in zip(*((part.truth, part.joules, part.integral) for part in parts), strict=True)
        )
        found.append(StageError("all", stage, truth, joules, parts[0].bound, integral))
    return found


def _total(errors: Sequence[StageError]) -> float:
    return abs(sum(error.error for error in errors)) / sum(error.truth for error in errors)
