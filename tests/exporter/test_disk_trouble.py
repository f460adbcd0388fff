"""A disk that is full, read-only, broken or stuck: the exporter goes on in memory, says so, and catches up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from counters import gone_down
from exporter_process import wait_for
from failing_disk import Disk
from meter_rig import Rig

from joulemark.disk import journal
from joulemark.disk.good_copy import connect

TROUBLES = (
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
    "unable to open database file",
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.01)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def rig(tmp_path: Path, disk: Disk) -> Iterator[Rig]:
    rig = Rig(tmp_path, connect=disk.connect)
    yield rig
    disk.trouble = ""
    disk.free.set()
    wait_for(lambda: up(rig) == 1)
    assert rig.residual() < 1e-6
    before = rig.samples()
    rig.restart(connect=connect)
    assert gone_down(before, rig.samples()) == []
    assert rig.residual() < 1e-6
    rig.crash()


def up(rig: Rig) -> float:
    return rig.samples()["joulemark_ledger_up"]


@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_in_trouble_all_goes_on_in_memory_loudly_and_catches_up(
    rig: Rig, disk: Disk, trouble: str, after_commit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    first = rig.begin("kd", "teacher")
    rig.wait(1)
    before = rig.samples()
    disk.trouble, disk.after_commit = trouble, after_commit
    rig.meter.heartbeat(first, {"cached": 100})
    second = rig.begin("kd", "student")
    rig.wait(2)
    rig.meter.declare("kd", {"teacher": "T"})
    rig.meter.score("kd", "gsm8k", 0.5, None, None)
    during = rig.samples()
    assert during["joulemark_ledger_up"] == 0
    assert during["joulemark_ledger_waiting_rows"] > 0
    assert during["joulemark_ledger_commit_failures_total"] > before["joulemark_ledger_commit_failures_total"]
    assert gone_down(before, during) == []
    assert trouble in caplog.text
    assert "free space or make the disk writable" in caplog.text
    # What is only in memory is answered like what is on disk.
    record: Any = rig.meter.run_record("kd")
    assert {stage["stage"]: stage["joules"] for stage in record["stages"]}["student"] > 0
    assert (record["teacher"], record["scores"][0]["score"]) == ("T", 0.5)
    assert rig.meter.runs()[0]["run"] == "kd"
    assert rig.meter.end(first, {})["tokens"] == {"cached": 100}
    disk.trouble = ""
    wait_for(lambda: up(rig) == 1)
    assert rig.samples()["joulemark_ledger_waiting_rows"] == 0
    assert "caught up" in caplog.text
    rig.restart(connect=disk.connect)
    after = rig.samples()
    assert gone_down(during, after) == []
    assert rig.meter.end(second, {})["joules"] > 0  # type: ignore[operator]


def test_runs_that_leave_memory_meanwhile_come_back_with_all_they_had(rig: Rig, disk: Disk) -> None:
    rig.restart(connect=disk.connect, keep_runs=1)
    disk.trouble = TROUBLES[0]
    for name in ("one", "two", "three"):
        window = rig.begin(name, "student")
        rig.wait(1)
        rig.meter.end(window, {"trained": 7})
        rig.wait(1)
        rig.scrape()
        rig.wait(1)
    assert {key[0] for key in rig.joules()} == {"", "three"}
    joules = rig.meter.run_record("one")["joules"]
    rig.begin("one", "student")
    assert rig.joules()["one", "student"] == joules
    assert rig.residual() < 1e-6


def test_a_run_pruned_meanwhile_is_gone_at_once_and_for_ever(rig: Rig, disk: Disk) -> None:
    rig.meter.end(rig.begin("old", "student"), {})
    rig.wait(1)
    disk.trouble = TROUBLES[0]
    rig.meter.prune("old")
    assert rig.meter.runs() == []
    rig.begin("old", "student")
    assert rig.joules()["old", "student"] == 0
    rig.wait(1)
    disk.trouble = ""
    wait_for(lambda: up(rig) == 1)
    assert rig.meter.run_record("old")["joules"] == pytest.approx(400, rel=0.1)


def test_a_disk_that_does_not_answer_holds_nobody_up(rig: Rig, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.Journal.wait, "__defaults__", (None, 0.1))
    rig.begin("kd", "teacher")
    disk.free.clear()
    rig.begin("kd", "student")
    rig.wait(1)
    assert up(rig) == 0
    assert rig.joules()["kd", "student"] > 0
    disk.free.set()
    wait_for(lambda: up(rig) == 1)


def test_what_could_not_be_written_at_the_end_is_said(rig: Rig, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    disk.trouble = TROUBLES[0]
    rig.begin("kd", "teacher")
    rig.meter.close()
    assert "is lost with this process" in caplog.text
    disk.trouble = ""
    rig.start(connect=disk.connect)


def test_windows_are_shed_before_a_backlog_eats_all_memory(
    rig: Rig, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_ROWS", 60)
    disk.trouble = TROUBLES[0]
    for _ in range(100):
        rig.begin("kd", "teacher")
        rig.wait(0.1)
    assert rig.samples()["joulemark_ledger_waiting_rows"] < 2 * 60
    before = rig.joules()["kd", "teacher"]
    disk.trouble = ""
    wait_for(lambda: up(rig) == 1)
    rig.restart(connect=disk.connect)
    assert rig.joules()["kd", "teacher"] >= before
