"""What is booked is on disk within a second, by a transition's commit or by one of its own; memory stays small."""

from __future__ import annotations

from pathlib import Path

import pytest
from meter_rig import TRACES, WATTS, Rig

from joulemark.clock import ManualClock
from joulemark.meter.meter import Meter
from joulemark.sources.base import Device, Reading
from joulemark.sources.replay import ReplaySource


class Commits:
    """Counts how often a meter takes its changes away to disk."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._save = rig.meter._store.save
        monkeypatch.setattr(rig.meter._store, "save", self._counted)

    def _counted(self, changes: object) -> int:
        self.count += 1
        return self._save(changes)  # type: ignore[arg-type]


def second(rig: Rig) -> None:
    """A good second of readings, in whose middle the exporter keeps up."""
    for part in range(10):
        rig.clock.advance(0.101)
        rig.meter.sample()
        if part == 4:
            rig.meter.keep_up()


def test_a_commit_is_made_once_a_second_and_none_where_a_transition_has_just_saved_all(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    second(rig)
    commits = Commits(rig, monkeypatch)
    for _ in range(10):
        second(rig)
    assert commits.count == 10
    for _ in range(10):
        rig.begin("kd", "teacher")
        second(rig)
    assert commits.count == 20, "each transition's own, and no other"
    for _ in range(10):
        second(rig)
    assert commits.count == 30


def test_what_was_booked_since_a_transition_is_on_disk_a_second_later(rig: Rig) -> None:
    rig.begin("kd", "teacher")
    saved = rig.meter.saved_at
    second(rig)
    assert rig.meter.saved_at == saved, "all was saved half a second before"
    rig.meter.keep_up()
    assert rig.meter.saved_at == rig.clock.steady()
    assert rig.meter._store.journal.wait()
    seen = rig.clock.steady()
    rig.restart()
    assert all(account.steady == seen for account in rig.meter.ledger.state.accounts.values())
    assert rig.joules()["kd", "teacher"] == pytest.approx(2 * 1.01 * WATTS, rel=0.1)


def test_memory_keeps_few_windows_however_fast_stages_follow_each_other(rig: Rig) -> None:
    most = 0
    for number in range(200):
        rig.begin("kd", f"s{number % 5}")
        for _ in range(3):
            rig.clock.advance(0.1)
            rig.meter.sample()
        if number % 3 == 0:
            rig.meter.keep_up()
        most = max(most, len(rig.meter.ledger.state.windows))
    assert most <= 12
    assert rig.residual() < 1e-6


class Asked(ReplaySource):
    """Notes whether the gauge was asked beside the counter."""

    power: list[bool]

    def read(self, device: Device, *, power: bool = True) -> Reading:
        self.power.append(power)
        return super().read(device, power=power)


def test_a_transition_asks_gauges_only_where_their_latest_values_are_not_fresh(tmp_path: Path) -> None:
    clock = ManualClock()
    source = Asked(clock, TRACES)
    source.power = []
    meter = Meter([source], tmp_path, clock)

    def asked_after(seconds: float) -> list[bool]:
        clock.advance(seconds)
        source.power.clear()
        meter.fleet.plan_order()()
        return list(source.power)

    meter.sample()
    assert asked_after(0.05) == [False, False]
    assert asked_after(0.05) == [True, True]
    assert asked_after(0.05) == [False, False]
    meter.close()
