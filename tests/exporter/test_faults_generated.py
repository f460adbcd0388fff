"""Schedules of stages and faults: conserved and monotonic at every step, wrong by no more than is said."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nvml_mock import Constant, Gpu, Noise, Ramp, Shape, Square, VirtualBench
from nvml_mock.bench import StageError

from joulemark.ledger.windows import SeriesKey

shapes = st.one_of(
    st.builds(Constant, st.sampled_from([60.0, 300.0, 690.0])),
    st.builds(Square, st.just(90.0), st.just(650.0), st.floats(0.3, 8.0), st.sampled_from([0.2, 0.5, 0.8])),
    st.builds(Ramp, st.just(80.0), st.just(650.0), st.floats(0.5, 5.0)),
    st.builds(Noise, st.just(350.0), st.just(250.0), st.integers(1, 99)),
)
gpus = st.fixed_dictionaries(
    {
        "limit": st.just(700),
        "tick": st.sampled_from([0.02, 0.05, 0.1]),
        "jitter": st.sampled_from([0, 0, 0.5]),
        "phase": st.floats(0.0, 0.1),
        "counter": st.sampled_from([1, 1, 1, 0]),
        "power_tick": st.sampled_from([0.02, 0.1]),
        "instant": st.sampled_from([1, 1, 0]),
        "average": st.just(1),
    }
)


@dataclass(frozen=True)
class Fault:
    """A fault `at` seconds after the first stage began, for so long."""

    kind: str
    at: float
    seconds: float


faults = st.builds(
    Fault,
    st.sampled_from(["lost", "counter_error", "power_error", "frozen", "driver", "reset", "night"]),
    st.floats(0.0, 15.0),
    st.floats(0.05, 8.0),
)
stages = st.lists(st.tuples(st.floats(0.3, 6.0), shapes), min_size=1, max_size=5)


class Play:
    """Plays a schedule on one GPU and watches every series at every step."""

    def __init__(self, bench: VirtualBench, schedule: list[Fault]) -> None:
        self.bench = bench
        self.before: dict[tuple[SeriesKey, str], float] = {}
        bench.wait(3.0)
        self.start = bench.clock.steady()
        for fault in schedule:
            self.write(fault)
        bench.script.save()
        self.nights = [(self.start + x.at, x.seconds) for x in schedule if x.kind == "night"]

    def write(self, fault: Fault) -> None:
        begin = self.start + fault.at
        if fault.kind == "reset":
            self.bench.script.reset(begin)
        elif fault.kind != "night":
            self.bench.script.fault(fault.kind, begin, begin + fault.seconds)

    def stage(self, name: str, seconds: float, shape: Shape) -> None:
        self.bench.begin(name, shape)
        self.watch(self.bench.stamps[-1][0] + seconds)

    def watch(self, until: float) -> None:
        """Let time pass, with nobody reading in a night, and look four times a second."""
        while (now := self.bench.clock.steady()) < until:
            self.look()
            night = next(((at, seconds) for at, seconds in self.nights if at <= now), None)
            if night:
                self.nights.remove(night)
                self.bench.clock.move_to(now + night[1])
            else:
                self.bench.run_until(min(until, now + 0.25))
        self.look()

    def look(self) -> None:
        series = self.bench.meter.ledger.state.series.items()
        now = {(key, device): joules for key, totals in series for device, joules in totals.joules.items()}
        assert all(now[key] >= joules for key, joules in self.before.items())
        assert all(totals.uncertainty_joules >= 0 for _, totals in series)
        assert abs(self.bench.residual()) < 1e-7
        self.before = now

    def finish(self) -> None:
        self.bench.end(Constant(60.0))
        self.watch(self.bench.clock.steady() + 12.0)


def play(
    library: Path, properties: dict[str, float], shown: list[tuple[float, Shape]], schedule: list[Fault]
) -> list[StageError]:
    """The errors of all windows; what holds at every step was looked at."""
    with tempfile.TemporaryDirectory() as folder:
        bench = VirtualBench(library, Path(folder), [Gpu(dict(properties))])
        try:
            played = Play(bench, schedule)
            for number, (seconds, shape) in enumerate(shown):
                played.stage(f"s{number}", seconds, shape)
            played.finish()
            errors = list(bench.errors())
            # Bound by what the board may draw, for as long as it was not seen.
            most = 1.5 * 700.0 * (bench.clock.steady() - played.start)
        finally:
            bench.stop()
    assert all(error.bound <= most for error in errors), errors
    return errors


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gpus, stages, st.lists(faults, max_size=3))
def test_whatever_fails_and_whenever_it_is_conserved_and_never_falls(
    nvml_library: Path, properties: dict[str, float], shown: list[tuple[float, Shape]], schedule: list[Fault]
) -> None:
    assert len(play(nvml_library, properties, shown, schedule)) >= len(shown)


def drawn_shape(draw: random.Random) -> Shape:
    some: list[Shape] = [
        Constant(draw.choice([60.0, 300.0, 690.0])),
        Square(90.0, 650.0, draw.uniform(0.3, 8.0), draw.choice([0.2, 0.5, 0.8])),
        Ramp(80.0, 650.0, draw.uniform(0.5, 5.0)),
        Noise(350.0, 250.0, draw.randint(1, 99)),
    ]
    return draw.choice(some)


def drawn_card(draw: random.Random) -> dict[str, float]:
    return {
        "limit": 700, "tick": draw.choice([0.02, 0.05, 0.1]), "jitter": draw.choice([0, 0, 0.5]),
        "phase": draw.uniform(0.0, 0.1), "counter": draw.choice([1, 1, 1, 0]), "power_tick": draw.choice([0.02, 0.1]),
        "instant": draw.choice([1, 1, 0]), "average": 1,
    }  # fmt: skip


def test_bounds_hold_in_nearly_all_windows_whatever_fails(nvml_library: Path) -> None:
    # Drawn by seeds, not by hypothesis, which looks for the worst: a bound of three standard deviations may be passed.
    errors = []
    for seed in range(100, 220):
        draw = random.Random(seed)
        shown = [(draw.uniform(0.3, 6.0), drawn_shape(draw)) for _ in range(draw.randint(1, 5))]
        kinds = draw.choices(["lost", "counter_error", "power_error", "frozen", "driver", "reset", "night"], k=3)
        schedule = [Fault(kind, draw.uniform(0.0, 15.0), draw.uniform(0.05, 8.0)) for kind in kinds]
        errors += play(nvml_library, drawn_card(draw), shown, schedule[: draw.randint(0, 3)])
    passed = [error for error in errors if not error.holds]
    assert len(passed) <= 0.01 * len(errors), passed
