"""Generated schedules of stages and faults: conserved and monotonic at every step, wrong by no more than is said."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nvml_mock import Constant, Gpu, Noise, Ramp, Shape, Square, VirtualBench

from joulemark.windows import SeriesKey

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


def play(library: Path, properties: dict[str, float], shown: list[tuple[float, Shape]], schedule: list[Fault]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = VirtualBench(library, Path(folder), [Gpu(dict(properties))])
        try:
            played = Play(bench, schedule)
            for number, (seconds, shape) in enumerate(shown):
                played.stage(f"s{number}", seconds, shape)
            played.finish()
            for error in bench.errors():
                assert error.holds, error
                # Bound by what the board may draw, for as long as it was not seen.
                assert error.bound <= 1.5 * 700.0 * (bench.clock.steady() - played.start), error
        finally:
            bench.stop()


# The same examples each time: a bound of three standard deviations may be passed once in some hundred windows.
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gpus, stages, st.lists(faults, max_size=3))
def test_whatever_fails_and_whenever(
    nvml_library: Path, properties: dict[str, float], shown: list[tuple[float, Shape]], schedule: list[Fault]
) -> None:
    play(nvml_library, properties, shown, schedule)
