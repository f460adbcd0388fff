"""A ledger that is damaged, half written, old or gone: it is set aside, and totals go on from the last good copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from counters import gone_down
from meter_rig import Rig

from joulemark.clock import ManualClock
from joulemark.errors import LedgerError
from joulemark.meter.copier import seconds_until_next
from joulemark.meter.meter import Meter

UNATTRIBUTED = ("", "unattributed")


def set_aside(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if ".damaged-" in path.name and not path.name.endswith(("-wal", "-shm"))
    )


def overwrite_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2 + 4096] = b"\xa5" * (len(data) // 2)
    path.write_bytes(data)


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database, but longer than a header would be" * 100)


def nonsense_inside(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE series SET totals = '{half a'")


def missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [overwrite_middle, cut_in_half, empty, not_a_database, nonsense_inside, missing])
def test_a_damaged_ledger_is_set_aside_and_totals_go_on_from_the_good_copy(
    rig: Rig, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    rig.begin("kd", "teacher", ttl_seconds=60)
    rig.wait(3)
    rig.meter.keep_copy()
    copied = rig.samples()
    rig.crash()
    for part in ("-wal", "-shm"):
        Path(f"{rig.folder}/ledger.sqlite{part}").unlink(missing_ok=True)
    damage(rig.folder / "ledger.sqlite")
    rig.clock.advance(5)
    rig.start()
    assert gone_down(copied, rig.samples()) == []
    assert "set aside" in caplog.text
    assert "totals go on from the good copy" in caplog.text
    assert len(set_aside(rig.folder)) == (damage is not missing)
    assert rig.samples()["joulemark_ledger_set_aside_total"] == 1
    # The hardware counter went on meanwhile: no joule of the device is missing.
    device = 'joulemark_device_energy_joules_total{device="gpu0"}'
    assert rig.samples()[device] == pytest.approx(copied[device] + 5 * 200)
    assert rig.residual() < 1e-6


def test_without_a_good_copy_a_damaged_ledger_is_set_aside_and_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    not_a_database(tmp_path / "ledger.sqlite")
    rig = Rig(tmp_path)
    assert "there is no good copy" in caplog.text
    rig.begin("kd", "teacher")
    rig.wait(2)
    rig.restart()
    assert rig.joules()["kd", "teacher"] > 0
    assert len(set_aside(tmp_path)) == 1
    rig.crash()


def test_a_copy_that_is_damaged_too_is_set_aside_as_well(rig: Rig) -> None:
    rig.wait(1)
    rig.meter.keep_copy()
    rig.crash()
    overwrite_middle(rig.folder / "ledger.good.sqlite")
    cut_in_half(rig.folder / "ledger.sqlite")
    rig.start()
    assert [name.partition(".damaged")[0] for name in set_aside(rig.folder)] == ["ledger.good.sqlite", "ledger.sqlite"]
    rig.wait(1)
    assert rig.joules()[UNATTRIBUTED] > 0


def test_a_damaged_ledger_does_not_become_the_good_copy(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.begin("kd", "teacher")
    rig.wait(1)
    rig.meter.keep_copy()
    good = (rig.folder / "ledger.good.sqlite").read_bytes()
    before = rig.samples()
    with closing(sqlite3.connect(rig.folder / "ledger.sqlite")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite_middle(rig.folder / "ledger.sqlite")
    rig.meter.keep_copy()
    assert (rig.folder / "ledger.good.sqlite").read_bytes() == good
    # All that is in memory went into the file that took its place.
    assert gone_down(before, rig.samples()) == []
    assert len(set_aside(rig.folder)) == 1
    rig.restart()
    assert gone_down(before, rig.samples()) == []


def test_a_ledger_removed_while_the_exporter_runs_is_written_anew(rig: Rig) -> None:
    rig.begin("kd", "teacher")
    rig.wait(1)
    for path in rig.folder.glob("ledger.sqlite*"):
        path.unlink()
    before = rig.samples()
    rig.restart()
    assert gone_down(before, rig.samples()) == []


def test_joules_that_an_older_copy_does_not_know_of_are_unattributed(rig: Rig) -> None:
    rig.wait(1)
    rig.meter.end(rig.begin("old", "teacher"), {})
    rig.wait(1)
    rig.crash()
    with closing(sqlite3.connect(rig.folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE device SET joules = joules + 1000")
    before = 0.0
    rig.start()
    assert rig.residual() < 1e-6
    assert rig.joules()[UNATTRIBUTED] > before + 2000


def test_a_copy_is_made_every_minute_and_less_often_when_it_is_large() -> None:
    assert seconds_until_next(100_000) == 60
    assert seconds_until_next(10_000_000) == pytest.approx(600)
    assert seconds_until_next(10**10) == 3600


def test_a_second_exporter_may_not_use_the_same_ledger(rig: Rig) -> None:
    with pytest.raises(LedgerError, match="in use by another exporter"):
        Meter([], rig.folder, rig.clock)


def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="name another folder by --state-dir"):
        Meter([], tmp_path / "file" / "state", ManualClock())


def test_a_ledger_of_a_later_version_is_left_alone(rig: Rig) -> None:
    rig.crash()
    with closing(sqlite3.connect(rig.folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(LedgerError, match="schema version 99"):
        rig.start()
    with closing(sqlite3.connect(rig.folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
    assert set_aside(rig.folder) == []
    rig.start()
