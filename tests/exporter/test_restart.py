"""What a restart books where: read on, or a gap with its reason; no counter starts again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from counters import gone_down
from meter_rig import WATTS, Rig

from joulemark.sources.replay import Trace

BREAKS = 'joulemark_read_breaks_total{{device="gpu0",reason="{}"}}'
GAP = 'joulemark_read_gap_seconds_total{device="gpu0"}'
DEVICE = 'joulemark_device_energy_joules_total{device="gpu0"}'


def reboot(rig: Rig) -> None:
    # The wall clock goes on, the steady one begins anew, and so do the counters.
    wall = rig.clock.wall()
    rig.clock.boot_id, rig.clock.now = "boot-2", 30.0
    rig.clock.wall = lambda: wall + rig.clock.now  # type: ignore[method-assign]
    rig.counter_start = rig.clock.now


def load_driver_anew(rig: Rig) -> None:
    rig.clock.advance(30)
    rig.driver_loads, rig.counter_start = 1, rig.clock.now


def reset_counter(rig: Rig) -> None:
    rig.clock.advance(30)
    rig.counter_start = rig.clock.now - 1


@pytest.mark.parametrize(
    ("happen", "reason", "holds_on"),
    [(reboot, "reboot", False), (load_driver_anew, "driver_reload", True), (reset_counter, "counter_reset", True)],
)
def test_reboot_driver_reload_and_counter_reset_are_told_apart_and_are_gaps(
    rig: Rig, happen: Callable[[Rig], None], reason: str, holds_on: bool
) -> None:
    rig.begin("kd", "student", ttl_seconds=600)
    rig.wait(3)
    before = rig.samples()
    rig.crash()
    happen(rig)
    rig.start()
    after = rig.samples()
    assert after[BREAKS.format(reason)] == 1
    assert [name for name in after if name.startswith("joulemark_read_breaks_total{") and "gpu0" in name] == [
        BREAKS.format(reason)
    ]
    assert after[GAP] - before[GAP] == pytest.approx(30, abs=0.2)
    # No joule is made up for what nobody saw, and none is negative.
    assert after[DEVICE] == pytest.approx(before[DEVICE], abs=0.2 * WATTS)
    assert gone_down(before, after) == []
    assert bool(rig.meter.active()) == holds_on
    bound = 'joulemark_energy_uncertainty_joules{phase="",run="kd",stage="student"}'
    # A window that held the device may have used up to the power limit all the time.
    assert after[bound] >= 2 * 30 * WATTS
    rig.wait(2)
    again = rig.samples()
    assert again[DEVICE] == pytest.approx(after[DEVICE] + 2 * WATTS, rel=0.02)
    assert again[BREAKS.format(reason)] == 1


def test_the_energy_of_a_stage_that_ended_within_the_last_tick_is_still_its_own(rig: Rig) -> None:
    rig.wait(1)
    window = rig.begin("kd", "student")
    rig.wait(3)
    rig.meter.end(window, {})
    # Killed before the counter has shown the stage's last tick.
    rig.crash()
    rig.clock.advance(0.15)
    rig.start()
    rig.wait(3)
    assert rig.joules()["kd", "student"] == pytest.approx(3 * 2 * WATTS, rel=0.02)
    assert rig.joules()["", "unattributed"] == pytest.approx((1 + 3.15) * 2 * WATTS, rel=0.05)


def test_counts_of_readings_go_on(rig: Rig) -> None:
    rig.wait(2)
    reads = 'joulemark_reads_total{device="gpu0"}'
    before = rig.samples()[reads]
    rig.restart()
    assert rig.samples()[reads] > before > 20


def test_seconds_go_on_through_the_time_the_exporter_was_away(rig: Rig) -> None:
    rig.begin("kd", "student", ttl_seconds=60)
    rig.wait(3)
    rig.crash()
    rig.clock.advance(7)
    rig.start()
    assert rig.samples()['joulemark_stage_seconds_total{phase="",run="kd",stage="student"}'] == pytest.approx(10)


def test_a_device_that_was_replaced_leaves_its_joules_under_its_name(rig: Rig) -> None:
    rig.wait(2)
    before = rig.samples()
    rig.crash()
    rig.traces = {"gpu1": Trace(((1.0, WATTS),))}
    rig.start()
    after = rig.samples()
    assert after[DEVICE] == before[DEVICE]
    assert gone_down(before, after) == []


def test_a_nested_stage_and_the_one_around_it_are_both_there_after_a_kill(rig: Rig) -> None:
    outer = rig.begin("kd", "student", ttl_seconds=60)
    rig.wait(2)
    inner = rig.begin("kd", "eval", nest=True, ttl_seconds=60)
    rig.wait(1)
    rig.restart()
    rig.wait(1)
    assert rig.meter.end(inner, {})["seconds"] == pytest.approx(2)
    rig.wait(3)
    assert rig.meter.end(outer, {})["seconds"] == pytest.approx(5)
    assert rig.joules()["kd", "eval"] == pytest.approx(2 * 2 * WATTS, rel=0.05)
