"""What the doctor makes of what it saw: judgements, and ticks and estimators measured on made-up readings."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from joulemark import doctor
from joulemark.doctor.call_times import percentile
from joulemark.doctor.comparison import compare
from joulemark.doctor.facts import ClockFacts, DeviceFacts, GpuState, LoadState, SourceState, Versions
from joulemark.doctor.findings import CATALOGUE, Finding
from joulemark.doctor.judge_devices import judge_device
from joulemark.doctor.judge_machine import judge_clocks, judge_sources
from joulemark.doctor.machine import look_at_clocks, versions
from joulemark.doctor.reference import reference_page
from joulemark.doctor.tick_times import tick_times
from joulemark.sources.base import Device, Reading

ROOT = Path(__file__).parents[2]


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.id for finding in findings}


# -- the catalogue -----------------------------------------------------------------------------------------


def test_the_page_of_findings_is_current() -> None:
    assert (ROOT / "docs" / "findings.md").read_text() == reference_page()


def test_every_kind_of_finding_is_used_and_every_warning_has_a_remedy() -> None:
    source = "".join(path.read_text() for path in Path(doctor.__path__[0]).glob("*.py"))
    for kind in CATALOGUE.values():
        assert f'"{kind.id}"' in source or kind.id.startswith("address_"), kind.id
        assert kind.remedy or kind.severity in ("ok", "info"), kind.id
        assert kind.meaning.endswith("."), kind.id


# -- ticks and estimators ----------------------------------------------------------------------------------


def looks(period: float, jitter: float, watts: float = 300.0, seconds: float = 6.0) -> list[Reading]:
    """Looks every 1.1 ms at a counter that refreshes every `period`, each refresh off by up to half of `jitter`."""
    chance = random.Random(1)
    ticks = [n * period + jitter * (chance.random() - 0.5) for n in range(int(seconds / period))]
    readings = []
    for step in range(int((seconds - period) / 0.0011)):
        at = 0.0011 * step
        energy = watts * max((tick for tick in ticks if tick <= at), default=-1.0)
        readings.append(Reading(at, energy + 1000.0, watts, sensor=True, begin=at - 0.0001, end=at))
    return readings


@pytest.mark.parametrize("period", [0.02, 0.1])
def test_an_even_beat_is_measured(period: float) -> None:
    tick = tick_times(looks(period, 0.0))
    assert tick is not None
    assert tick.seconds == pytest.approx(period, rel=0.06)
    assert tick.even
    assert tick.jitter_seconds < 0.0005


def test_ticks_that_stray_are_no_even_beat() -> None:
    tick = tick_times(looks(0.1, 0.09))
    assert tick is not None
    assert not tick.even
    # Two ticks that are each off by a uniform part of 90 ms are apart by 100 ms ± 90 ms / sqrt(6).
    assert tick.jitter_seconds == pytest.approx(0.09 / math.sqrt(6), rel=0.3)


@pytest.mark.parametrize(("jitter", "even"), [(0.0, True), (0.09, False)])
def test_a_beat_seen_for_too_short_a_time_to_be_learnt_is_judged_by_its_intervals(jitter: float, even: bool) -> None:
    tick = tick_times(looks(0.1, jitter, seconds=1.8))
    assert tick is not None
    assert tick.ticks < 20
    assert tick.even == even


def test_a_counter_that_does_not_move_has_no_tick() -> None:
    assert tick_times([Reading(0.01 * n, 5.0, None) for n in range(300)]) is None


def test_estimators_are_compared_over_the_same_ticks() -> None:
    found = compare(looks(0.1, 0.0), 0.0, "as_found")
    assert found.counter_joules == pytest.approx(300 * 0.1 * round(found.seconds / 0.1))
    assert found.disagreement_ratio == pytest.approx(0.0, abs=0.001)


def test_a_gauge_that_shows_too_much_is_found_by_as_much() -> None:
    readings = [reading._replace(watts=330.0) for reading in looks(0.1, 0.0)]
    assert compare(readings, 0.0, "as_found").disagreement_ratio == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize("phase", [0.1 * n for n in range(10)])
@pytest.mark.parametrize(("gain", "kind"), [(1.0, "estimators_agree"), (1.4, "estimators_apart")])
def test_what_sampling_has_apart_is_no_disagreement(phase: float, gain: float, kind: str) -> None:
    """Power that is now 150 and now 650 W, 1.1 times a second, by a gauge that refreshes every 100 ms."""

    def look(at: float) -> Reading:
        return Reading(at, energy(tick(at)), gain * watts(tick(at)), sensor=True, begin=at, end=at)

    def tick(at: float) -> float:
        return math.floor(at / 0.1 + 1e-6) * 0.1

    def watts(at: float) -> float:
        return 650.0 if (1.1 * at + phase) % 1.0 < 0.5 else 150.0

    def energy(at: float) -> float:
        whole, rest = divmod(1.1 * at + phase, 1.0)
        return (400 * whole + 650 * min(rest, 0.5) + 150 * max(0.0, rest - 0.5)) / 1.1

    found = compare([look(0.02 * n) for n in range(5, 180)], 0.0, "as_found")
    device = Device("GPU-0", "gpu0", "Mock", "nvml_counter", gauge="instant_field")
    judged = judge_device(DeviceFacts(device, comparisons=[replace(found, answered=175)]), LoadState(False))
    assert kind in kinds(judged)


def test_an_averaging_gauge_speaks_of_the_middle_of_its_average() -> None:
    """Power that rises by 100 W in a second: an average over the last second shows what was half a second ago."""

    def rising(at: float) -> Reading:
        ticked = math.floor(at / 0.02) * 0.02
        energy = 100 * ticked + 50 * ticked**2
        return Reading(at, energy, 100 + 100 * (at - 0.5), sensor=True, begin=at, end=at)

    readings = [rising(0.001 * n) for n in range(1000, 6000)]
    assert compare(readings, 1.0, "as_found").disagreement_ratio == pytest.approx(0.0, abs=0.001)
    assert (compare(readings, 0.0, "as_found").disagreement_ratio or 0.0) > 0.05


def test_without_a_counter_only_power_is_told() -> None:
    readings = [reading._replace(energy_joules=None) for reading in looks(0.1, 0.0)]
    found = compare(readings, 0.0, "as_found")
    assert (found.counter_joules, found.disagreement_ratio, found.counter_read) == (None, None, False)
    assert found.mean_watts == pytest.approx(300)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentile_is_the_least_value_that_enough_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(x) for x in range(100, 0, -1)], share) == value


# -- the machine -------------------------------------------------------------------------------------------

INSTALLED = Versions("0.1.0", "3.11", "6.1")


def test_a_gpu_on_the_bus_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("gpu", "0x10de", "0x030200"),
        ("nic", "0x8086", "0x020000"),
        ("hub", "0x10de", "0x0c03"),
    ):
        folder = tmp_path / "bus" / "pci" / "devices" / name
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    installed = versions(tmp_path)
    assert installed.nvidia_gpus_on_pci == 1
    absent = SourceState("nvml_counter", False, False, "NVML: libnvidia-ml.so.1 is not installed")
    rapl = SourceState("rapl", True, True, devices=("cpu0",))
    assert {"gpu_unused", "source_broken"} <= kinds(judge_sources([absent, rapl], installed, "auto"))
    without = judge_sources([absent, rapl], replace(installed, nvidia_gpus_on_pci=0), "auto")
    assert kinds(without) == {"source_absent", "source_read"}


def test_what_a_source_warns_of_is_a_finding() -> None:
    state = SourceState("rapl", True, True, devices=("cpu0",), warnings=("dram0 not readable",))
    warned = [finding for finding in judge_sources([state], INSTALLED, "auto") if finding.severity == "warning"]
    assert [(finding.id, finding.found) for finding in warned] == [("source_warning", "dram0 not readable")]


GOOD = ClockFacts("tsc", 1e-7, True, 0.0, 0.0, 60.0)


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        (GOOD, {"clock"}),
        (replace(GOOD, step_seconds=-3.0), {"clock", "clock_stepped"}),
        (replace(GOOD, suspended_seconds=90.0), {"clock", "clock_suspended"}),
        (replace(GOOD, synchronised=False), {"clock", "clock_unsynchronised"}),
        (replace(GOOD, source="hpet"), {"clock_coarse"}),
        (replace(GOOD, resolution_seconds=0.004), {"clock_coarse"}),
    ],
)
def test_clocks(clocks: ClockFacts, expected: set[str]) -> None:
    assert kinds(judge_clocks(clocks)) == expected


def test_this_machines_clocks_go_on_together() -> None:
    before = look_at_clocks()
    time.sleep(0.01)
    after = look_at_clocks()
    assert after.boot - before.boot == pytest.approx(after.monotonic - before.monotonic, abs=0.005)


@pytest.mark.parametrize(
    ("processes", "used", "busy"),
    [(0, 0.0, False), (1, 0.0, False), (1, 0.9, True), (0, 0.9, False), (1, None, True), (None, 0.9, False)],
)
def test_a_gpu_is_busy_when_a_job_is_at_work_on_it(processes: int | None, used: float | None, busy: bool) -> None:
    assert GpuState(used, processes).busy == busy
