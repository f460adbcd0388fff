"""A GPU that stays away through many transitions: memory stays bounded, and every window's bound covers the truth."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from meter_rig import apply
from nvml_mock import Constant, Gpu, VirtualBench

from joulemark.attribution.attribution import DeviceAccount
from joulemark.attribution.hand_overs import HandOvers
from joulemark.ledger.state import StageRequest
from joulemark.sources.base import Device, Reading

MakeBench = Callable[..., VirtualBench]
# More windows, hand-overs or holders than this are not kept for a GPU that is lost.
MOST = 70


@dataclass
class Outage:
    """Transitions on two GPUs, of which gpu0 is lost from `LEAD` seconds after the first on."""

    LEAD = 1.0

    bench: VirtualBench
    most: int = 0
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    _held: tuple[str, float] = ("", 0.0)

    def __post_init__(self) -> None:
        self.start = self.bench.clock.steady()

    @property
    def account(self) -> DeviceAccount:
        return self.bench.meter.ledger.state.accounts[self.bench.source.devices[0].key]

    def silence(self, *, gauge_after: float, seconds: float) -> None:
        """The counter shows nothing new, and some time later the gauge nothing at all; in the end both are well."""
        begin = self.start + self.LEAD
        self.bench.script.fault("frozen", begin, begin + seconds)
        self.bench.script.fault("power_error", begin + gauge_after, begin + seconds)
        self.bench.script.save()

    def lose(self, seconds: float, *, reset: bool = False) -> None:
        end = self.start + self.LEAD + seconds
        self.bench.script.fault("lost", self.start + self.LEAD, end)
        if reset:
            self.bench.script.reset(end)
        self.bench.script.save()

    def stages(self, count: int, seconds: float) -> None:
        """One stage after another, each at a power of its own."""
        for number in range(count):
            self.hand_over(self.begin(f"s{number % 2}"), 100.0 + 37 * number % 500, seconds)

    def nested(self, outer: str, count: int, seconds: float) -> None:
        """Stages nested in one that has the GPUs back between them."""
        for number in range(count):
            inner = self.begin(f"s{number % 2}", nest=True)
            self.hand_over(inner, 100.0 + 37 * number % 500, seconds)
            self.bench.meter.end(inner, {})
            self.hand_over(outer, 650.0 - 37 * number % 500, seconds)

    def begin(self, stage: str, *, nest: bool = False) -> str:
        return str(self.bench.meter.begin(StageRequest("run", stage, nest=nest))[0]["id"])

    def hand_over(self, window: str, watts: float, seconds: float) -> None:
        """A window has just got the GPUs; from now on they draw so much, for so long."""
        now = self.bench.clock.steady()
        self.spans.append((*self._held, now))
        self._held = window, now
        self.bench.script.power(now, Constant(watts))
        self.bench.script.save()
        self.bench.wait(seconds)
        hole = len(self.account._hole._bounds)
        self.most = max(
            self.most, len(self.bench.meter.ledger.state.windows), len(self.account.hand_overs.boundaries), hole
        )

    def end(self, window: str) -> None:
        """The last window ends, and all is booked that ever will be."""
        self.bench.meter.end(window, {})
        self.hand_over("", 60.0, 5.0)

    def finish(self, seconds: float) -> None:
        """A last window of so many seconds."""
        last = self.begin("last")
        self.hand_over(last, 300.0, seconds)
        self.end(last)

    def windows(self) -> list[tuple[dict[str, Any], list[float]]]:
        """The summary of each window with its joules in truth on each GPU, oldest first."""
        truth = {window: [0.0] * len(self.bench.gpus) for window, _, _ in self.spans}
        for (window, begin, end), (index, gpu) in itertools.product(self.spans, enumerate(self.bench.gpus)):
            truth[window][index] += gpu.joules(begin, end) if window else 0.0
        return [(window, truth[str(window["id"])]) for window in self.bench.meter.windows(1000, "run")[::-1]]


@pytest.fixture
def make_outage(make_bench: MakeBench) -> Callable[..., Outage]:
    def make(warm: float = 0.0, *, counter: int = 1, seed: int = 0) -> Outage:
        bench = make_bench(Gpu({"limit": 700, "counter": counter}), Gpu({"limit": 700}), seed=seed)
        bench.script.power(bench.clock.steady(), Constant(600.0))
        bench.script.save()
        bench.wait(5.0 + warm)
        return Outage(bench)

    return make


MakeOutage = Callable[..., Outage]


def assert_honest(outage: Outage) -> None:
    """Every bound covers the truth, nothing is lost, and the GPU that is there is right to the tick."""
    for window, truth in outage.windows():
        booked = window["joules_by_device"]
        error = abs(booked["gpu0"] - truth[0]) + abs(booked["gpu1"] - truth[1])
        assert error <= window["uncertainty_joules"] + 1e-6, window
        assert booked["gpu1"] == pytest.approx(truth[1], abs=3.0), window
    assert abs(outage.bench.residual()) < 1e-8
    assert outage.most <= MOST


def in_outage(outage: Outage, seconds: float) -> list[dict[str, Any]]:
    """The windows that lie wholly in the first so many seconds of the outage."""
    begin = outage.start + outage.LEAD
    inside = {window for window, since, until in outage.spans if since > begin + 0.3 and until < begin + seconds}
    return [window for window, _ in outage.windows() if window["id"] in inside]


def test_a_loss_for_good_keeps_few_windows_and_bounds_every_one(make_outage: MakeOutage) -> None:
    outage = make_outage()
    outage.lose(1e9)
    outage.stages(300, 1.0)
    outage.finish(1.0)
    assert_honest(outage)
    windows = in_outage(outage, 298.0)
    assert len(windows) > 290
    for window in windows:
        assert window["joules_by_device"]["gpu0"] == 0.0
        assert window["uncertainty_joules"] > 700.0 * window["seconds"]
    (gpu0, gpu1) = outage.bench.meter.snapshot().devices
    assert gpu0.gap_seconds > 300.0
    assert gpu1.gap_seconds == 0.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("warm", "reset", "counter"),
    [(0.0, False, 1), (120.0, False, 1), (0.0, True, 1), (0.0, False, 0)],
    ids=["counts on", "has counted much", "starts anew", "no counter"],
)
def test_after_many_transitions_it_comes_back(
    make_outage: MakeOutage, warm: float, reset: bool, counter: int, seed: int
) -> None:
    outage = make_outage(warm, counter=counter, seed=seed)
    outage.lose(32.0, reset=reset)
    outage.stages(150, 0.2)
    outage.finish(6.0)
    assert_honest(outage)
    # Those that came too early to wait for the counter keep what the GPU may have drawn in them as their bound.
    early = in_outage(outage, 15.0)
    assert len(early) > 60
    for window in early:
        assert window["joules_by_device"]["gpu0"] == 0.0
        assert window["uncertainty_joules"] > 700.0 * window["seconds"]
    assert len(outage.bench.meter.ledger.state.windows) <= 1
    assert outage.account.hand_overs.boundaries == []


def test_joules_of_windows_that_are_not_kept_are_nobodys(make_outage: MakeOutage) -> None:
    outage = make_outage(120.0)
    outage.lose(32.0)
    before = outage.account.total_joules
    outage.stages(150, 0.2)
    outage.finish(6.0)
    now = outage.bench.clock.steady()
    # No joule that the counter told is lost.
    truth = outage.bench.gpus[0].joules(outage.start, now)
    assert outage.account.total_joules - before == pytest.approx(truth, abs=600 * 0.3)
    claimed = sum(window["joules_by_device"]["gpu0"] for window, _ in outage.windows())
    assert claimed < 0.7 * truth


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("warm", [0.0, 120.0])
def test_a_window_that_holds_it_again_and_again_is_bound_for_all_of_it(
    make_outage: MakeOutage, warm: float, reset: bool
) -> None:
    outage = make_outage(warm)
    outage.lose(42.0, reset=reset)
    outer = outage.begin("outer")
    outage.hand_over(outer, 500.0, 2.0)
    outage.nested(outer, 100, 0.2)
    outage.hand_over(outer, 500.0, 4.0)
    outage.end(outer)
    assert_honest(outage)


def test_the_whole_is_doubted_once_however_often_it_was_held(make_outage: MakeOutage) -> None:
    outage = make_outage(120.0)
    outage.lose(9.0)
    outer = outage.begin("outer")
    outage.hand_over(outer, 500.0, 2.0)
    outage.nested(outer, 20, 0.2)
    outage.hand_over(outer, 500.0, 4.0)
    outage.end(outer)
    assert_honest(outage)
    (bound,) = [window["uncertainty_joules"] for window, _ in outage.windows() if window["stage"] == "outer"]
    unseen = outage.bench.gpus[0].joules(outage.start + outage.LEAD - 0.3, outage.start + outage.LEAD + 9.3)
    assert bound < unseen + 100.0


@pytest.mark.parametrize("gauge_after", [0.0, 5.0])
def test_a_gpu_that_answers_and_tells_nothing_is_no_silent_zero(make_outage: MakeOutage, gauge_after: float) -> None:
    outage = make_outage()
    outage.silence(gauge_after=gauge_after, seconds=40.0)
    outage.stages(160, 0.25)
    outage.finish(6.0)
    assert_honest(outage)
    (view, _) = outage.bench.meter.snapshot().devices
    assert view.gap_seconds == pytest.approx(40.0 - gauge_after, abs=0.5)
    assert outage.account.hand_overs.boundaries == []


def test_a_counter_that_never_moves_keeps_few_hand_overs_and_bounds_the_others() -> None:
    account = DeviceAccount(Device("cpu0", "cpu0", "rapl", power_limit_watts=100.0, tick_seconds=0.001))
    bounds: dict[str | None, float] = {}
    for tenth in range(3000):
        if tenth % 10 == 0:
            account.change_holders((f"w{tenth // 10}",), tenth / 10)
        for booking in apply(account, Reading(tenth / 10 + 0.05, 500.0, None)).bookings:
            assert booking.joules == 0.0
            bounds[booking.holder] = bounds.get(booking.holder, 0.0) + booking.bound_joules
    assert len(account.hand_overs.boundaries) <= MOST
    assert len(bounds) > 300 - MOST
    assert all(bound == pytest.approx(100.0) for bound in bounds.values())
    # A window that is not kept gets nothing of what the counter shows after all.
    settled = [b for second in range(5) for b in apply(account, Reading(301.0 + second, 600.0 + second, None)).bookings]
    assert sum(booking.joules for booking in settled) > 100.0
    assert not {booking.holder for booking in settled if booking.joules and booking.holder in bounds}


def test_hand_overs_of_a_stretch_are_folded_and_no_others() -> None:
    held = HandOvers(("a",), [(float(at), (f"w{at}",)) for at in range(1, 9)])
    assert held.fold(3.0, 7.5, most=8) == []
    assert held.fold(3.0, 7.5, most=6) == [(("w3",), 1.0), (("w4",), 1.0), (("w5",), 1.0)]
    assert [at for at, _ in held.boundaries] == [1.0, 2.0, 3.0, 6.0, 7.0, 8.0]
    assert held.boundaries[2] == (3.0, ())
    # The one that lasts beyond the stretch stays, however many there are.
    assert held.fold(3.0, 7.5, most=1) == [(("w6",), 1.0)]
    assert held.boundaries == [(1.0, ("w1",)), (2.0, ("w2",)), (3.0, ()), (7.0, ("w7",)), (8.0, ("w8",))]
    assert held.fold(3.0, 7.5, most=1) == []
