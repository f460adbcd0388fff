"""Transitions, sharing, nesting, leases and restarts, on a scripted device with exactly known joules."""

from __future__ import annotations

import pytest
from meter_rig import WATTS, Rig

from joulemark.errors import DeviceHeld, InvalidField, UnknownName
from joulemark.ledger.state import StageRequest


def test_a_switch_ends_the_old_window_and_begins_the_new_one(rig: Rig) -> None:
    rig.begin("kd", "data")
    rig.wait(2)
    _, ended = rig.meter.begin(StageRequest("kd", "teacher"))
    rig.wait(3)
    assert [(x["stage"], x["state"]) for x in ended] == [("data", "replaced")]
    assert rig.joules()["kd", "data"] == pytest.approx(2 * 2 * WATTS, rel=0.06)
    assert rig.joules()["kd", "teacher"] == pytest.approx(3 * 2 * WATTS, rel=0.06)


def test_another_run_may_not_take_a_held_device(rig: Rig) -> None:
    rig.begin("a", "teacher", devices=["gpu0"])
    before = rig.joules()
    with pytest.raises(DeviceHeld, match="gpu0 is held by run 'a'"):
        rig.begin("b", "student", devices=["gpu0"])
    assert rig.joules() == before
    rig.begin("b", "student", devices=["gpu1"])


def test_a_shared_device_is_split_equally_and_marked(rig: Rig) -> None:
    rig.begin("a", "teacher", devices=["gpu0"], share=True)
    rig.begin("b", "student", devices=["gpu0"], share=True)
    rig.wait(4)
    joules = rig.joules()
    assert joules["a", "teacher"] == pytest.approx(joules["b", "student"])
    assert joules["a", "teacher"] == pytest.approx(4 * WATTS / 2, rel=0.06)
    assert all(window["shared"] for window in rig.meter.active())


def test_a_nested_stage_suspends_the_outer_one_and_gives_the_device_back(rig: Rig) -> None:
    outer = rig.begin("kd", "student")
    rig.wait(2)
    inner = rig.begin("kd", "eval", nest=True)
    rig.wait(3)
    assert {str(x["stage"]): x["state"] for x in rig.meter.active()} == {"student": "suspended", "eval": "active"}
    rig.meter.end(inner, {})
    rig.wait(1)
    summary = rig.meter.end(outer, {})
    rig.wait(1)
    assert rig.joules()["kd", "eval"] == pytest.approx(3 * 2 * WATTS, rel=0.06)
    assert rig.joules()["kd", "student"] == pytest.approx(3 * 2 * WATTS, rel=0.06)
    assert summary["seconds"] == pytest.approx(3.0)


def test_a_nested_stage_works_where_the_stage_around_it_does(rig: Rig) -> None:
    rig.begin("a", "student", devices=["gpu0"])
    rig.begin("b", "teacher", devices=["gpu1"])
    rig.begin("a", "eval", nest=True)
    devices = {(x["run"], x["stage"]): x["devices"] for x in rig.meter.active()}
    assert devices["a", "eval"] == ["gpu0"]


def test_windows_side_by_side_are_one_stretch_of_their_stage(rig: Rig) -> None:
    first = rig.begin("a", "student", devices=["gpu0"])
    rig.wait(2)
    rig.begin("a", "student", devices=["gpu1"])
    rig.wait(3)
    rig.meter.end(first, {})
    rig.wait(1)
    (view,) = [x for x in rig.meter.snapshot().series if x.key.run == "a"]
    assert view.seconds == pytest.approx(6.0)
    assert rig.joules()["a", "student"] == pytest.approx((5 + 4) * WATTS, rel=0.06)


def test_an_expired_lease_closes_the_window_at_its_own_end(rig: Rig) -> None:
    rig.begin("kd", "student", ttl_seconds=2.0)
    rig.wait(5)
    assert rig.meter.active() == []
    assert rig.joules()["kd", "student"] == pytest.approx(2 * 2 * WATTS, rel=0.06)
    assert rig.meter.snapshot().windows_expired == 1


def test_heartbeats_renew_the_lease_and_a_repeated_count_adds_nothing(rig: Rig) -> None:
    window = rig.begin("kd", "student", ttl_seconds=2.0)
    for count in (100, 100, 250, 200):
        rig.wait(1)
        rig.meter.heartbeat(window, {"trained": count})
    assert rig.meter.end(window, {"trained": 250})["tokens"] == {"trained": 250}
    again = rig.meter.end(window, {"trained": 250})
    assert (again["state"], again["tokens"]) == ("ended", {"trained": 250})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"run": "no spaces"}, "run"),
        ({"run": "x" * 129}, "run"),
        ({"stage": "Teacher"}, "stage"),
        ({"stage": "unattributed"}, "stage"),
        ({"phase": "Nope"}, "phase"),
        ({"devices": ["gpu9"]}, "devices"),
        ({"devices": []}, "devices"),
        ({"ttl_seconds": 0.0}, "ttl_seconds"),
    ],
)
def test_a_refused_request_names_the_field_and_changes_nothing(rig: Rig, fields: dict[str, object], field: str) -> None:
    before = rig.joules()
    with pytest.raises(InvalidField) as refused:
        rig.begin(**{"run": "kd", "stage": "teacher", **fields})  # type: ignore[arg-type]
    assert refused.value.field == field
    assert refused.value.remedy
    assert rig.joules() == before
    assert rig.meter.runs() == []


def test_an_unknown_window_is_not_found(rig: Rig) -> None:
    with pytest.raises(UnknownName):
        rig.meter.end("nothing", {})


def test_after_a_crash_the_gap_goes_to_the_window_whose_lease_holds(rig: Rig) -> None:
    rig.begin("kd", "student", ttl_seconds=60.0)
    rig.wait(3)
    before = rig.joules()
    rig.crash()
    rig.clock.advance(10)
    rig.start()
    after = rig.joules()
    assert after["", "unattributed"] == pytest.approx(before["", "unattributed"])
    assert after["kd", "student"] == pytest.approx(before["kd", "student"] + 10 * 2 * WATTS, rel=0.02)


def test_after_a_crash_the_gap_is_unattributed_when_the_lease_has_ended(rig: Rig) -> None:
    rig.begin("kd", "student", ttl_seconds=5.0)
    rig.wait(3)
    before = rig.joules()
    rig.crash()
    rig.clock.advance(10)
    rig.start()
    after = rig.joules()
    assert after["kd", "student"] == pytest.approx(before["kd", "student"], rel=0.05)
    gained = after["", "unattributed"] - before["", "unattributed"]
    assert gained == pytest.approx(10 * 2 * WATTS, rel=0.05)


def test_after_a_reboot_the_counter_is_not_read_on(rig: Rig) -> None:
    rig.begin("kd", "student", ttl_seconds=60.0)
    rig.wait(3)
    before = rig.joules()
    rig.crash()
    rig.clock.boot_id, rig.clock.now = "boot-2", 50.0
    rig.start()
    assert rig.joules() == pytest.approx(before)
    assert rig.meter.active() == []


def test_an_old_run_leaves_memory_and_comes_back_with_its_totals(rig: Rig) -> None:
    rig.crash()
    rig.start(keep_runs=2)
    for name in ("one", "two", "three", "four"):
        window = rig.begin(name, "student")
        rig.wait(1)
        rig.meter.end(window, {"trained": 10})
        rig.wait(0.3)
        rig.scrape()
    shown = {view.key.run for view in rig.meter.snapshot().series}
    assert shown == {"", "three", "four"}
    before = rig.meter.run_record("one")["joules"]
    retired = rig.joules()["", "retired"]
    assert retired == pytest.approx(sum(rig.meter.run_record(x)["joules"] for x in ("one", "two")))  # type: ignore[misc]
    assert abs(rig.residual()) < 1e-6
    rig.crash()
    rig.start(keep_runs=2)
    assert rig.joules()["", "retired"] == retired
    rig.begin("one", "student")
    assert rig.joules()["one", "student"] == pytest.approx(before)
    assert abs(rig.residual()) < 1e-6


def test_late_tokens_of_a_run_that_left_memory_are_added_and_lose_nothing(rig: Rig) -> None:
    rig.crash()
    rig.start(keep_runs=1)
    window = rig.begin("one", "student")
    rig.wait(1)
    rig.meter.end(window, {"trained": 10})
    rig.wait(1.0)
    before = rig.meter.run_record("one")["joules"]
    rig.meter.end(rig.begin("two", "student"), {})
    rig.scrape()
    rig.wait(1.0)
    assert ("one", "student") not in rig.joules()
    assert rig.meter.end(window, {"trained": 25})["tokens"] == {"trained": 25}
    record = rig.meter.run_record("one")
    assert record["joules"] == pytest.approx(before)
    assert record["stages"][0]["tokens"] == {"trained": 25}  # type: ignore[index]
