"""A ledger written by an earlier release is brought up to date, all or nothing, and its totals go on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from meter_rig import Rig

from joulemark.disk import schema
from joulemark.disk.history import run_record
from joulemark.disk.ledger_file import open_for_reading
from joulemark.sources.replay import Trace

# As the first release made it, text for text.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE device (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, driver TEXT NOT NULL,
    epoch TEXT NOT NULL, modelled INTEGER NOT NULL, joules REAL NOT NULL, gap_seconds REAL NOT NULL,
    counter_joules REAL, settled_steady REAL);
CREATE TABLE run (
    run TEXT PRIMARY KEY, created_at REAL NOT NULL, last_active_at REAL NOT NULL, origin TEXT NOT NULL,
    declared TEXT NOT NULL);
CREATE TABLE window (
    id TEXT PRIMARY KEY, run TEXT NOT NULL, stage TEXT NOT NULL, phase TEXT NOT NULL, devices TEXT NOT NULL,
    state TEXT NOT NULL, share INTEGER NOT NULL, shared INTEGER NOT NULL, parent TEXT, started_at REAL NOT NULL,
    ended_at REAL, lease_seconds REAL, lease_until REAL, running_since REAL, totals TEXT NOT NULL);
CREATE INDEX window_by_run ON window (run, started_at);
CREATE INDEX window_by_state ON window (state);
CREATE TABLE series (
    run TEXT NOT NULL, stage TEXT NOT NULL, phase TEXT NOT NULL,
    totals TEXT NOT NULL, PRIMARY KEY (run, stage, phase));
CREATE TABLE score (
    run TEXT NOT NULL, benchmark TEXT NOT NULL, score REAL NOT NULL, reference REAL, n INTEGER,
    PRIMARY KEY (run, benchmark));
CREATE TABLE artifact (
    run TEXT NOT NULL, artifact TEXT NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (run, artifact, role));
INSERT INTO meta VALUES ('schema_version', '1'), ('boot', 'boot-1'), ('windows_expired', '4');
INSERT INTO device VALUES ('replay-gpu0', 'gpu0', 'replay', 'scripted trace', '', 'boot-1.0', 1, 150000.0, 1.5,
    200000.0, 1000.0);
INSERT INTO run VALUES ('kd', 900.0, 950.0, 'modelled', '{"teacher": "T"}');
INSERT INTO window VALUES ('aaaabbbbccccdddd', 'kd', 'teacher', '', '["replay-gpu0"]', 'active', 0, 0, NULL, 900.0,
    NULL, 60.0, 1060.0, 900.0, '{"joules": {"replay-gpu0": 20000.0}, "seconds": 100.0, "uncertainty_joules": 7.0}');
INSERT INTO series VALUES
    ('', 'unattributed', '', '{"joules": {"replay-gpu0": 30000.0}, "seconds": 0.0, "uncertainty_joules": 0.0}'),
    ('kd', 'teacher', '', '{"joules": {"replay-gpu0": 20000.0}, "seconds": 100.0, "uncertainty_joules": 7.0}');
INSERT INTO score VALUES ('kd', 'gsm8k', 0.5, 0.6, 100);
"""
# Thirty runs that were finished before, of which the newest twenty were on /metrics.
OLD_RUNS = [
    ("run", (f"old-{number}", 100.0 + number, 100.0 + number, "modelled", "{}")) for number in range(30)
] + [
    ("series", (f"old-{number}", "data", "", '{"joules": {"replay-gpu0": %r}}' % (100000 / 30))) for number in range(30)
]  # fmt: skip


@pytest.fixture
def old_ledger(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db, db:
        db.executescript(f"BEGIN; {VERSION_1} COMMIT;")
        for table, row in OLD_RUNS:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return tmp_path


def structure(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Of every table its columns; of every index its name."""
    with closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT type, name FROM sqlite_master ORDER BY 1, 2").fetchall()
        return {name: db.execute(f"PRAGMA table_info('{name}')").fetchall() for _, name in names}


def test_a_ledger_of_version_1_goes_on(old_ledger: Path) -> None:
    rig = Rig(old_ledger, {"gpu0": Trace(((1.0, 200.0),))})
    samples = rig.samples()
    key = 'device="gpu0",phase="",run="kd",stage="teacher"'
    assert samples[f"joulemark_energy_joules_total{{{key}}}"] == pytest.approx(20000, abs=1)
    assert samples['joulemark_energy_uncertainty_joules{phase="",run="kd",stage="teacher"}'] >= 7
    assert samples["joulemark_windows_expired_total"] == 4
    assert samples['joulemark_run_score{benchmark="gsm8k",run="kd"}'] == 0.5
    # What an older release did not keep is not known; what is told from now on is kept.
    score = {"benchmark": "gsm8k", "score": 0.5, "reference": 0.6, "n": 100}
    assert rig.meter.run_record("kd")["scores"] == [{**score, "stderr": None}]
    rig.meter.score("kd", "gsm8k", 0.5, 0.6, 100, 0.05)
    assert rig.meter.run_record("kd")["scores"] == [{**score, "stderr": 0.05}]
    assert rig.residual() < 1e-6
    rig.wait(2)
    # The counter was read on and the lease still held: the window goes on, in seconds and joules.
    summary = rig.meter.end("aaaabbbbccccdddd", {"cached": 5})
    assert summary["state"] == "ended"
    assert summary["joules"] == pytest.approx(20000 + 2 * 200, rel=0.01)
    rig.crash()


def test_as_many_runs_stay_on_metrics_as_version_1_showed(old_ledger: Path) -> None:
    rig = Rig(old_ledger)
    samples = rig.samples()
    shown = {name for name in samples if name.startswith("joulemark_run_info") and 'run="old-' in name}
    assert len(shown) == 19, "and kd, which is newer"
    assert samples['joulemark_energy_joules_total{device="gpu0",phase="",run="",stage="retired"}'] == pytest.approx(
        11 * 100000 / 30
    )
    rig.crash()


def test_every_old_version_ends_up_with_the_tables_of_a_new_file(old_ledger: Path, tmp_path: Path) -> None:
    Rig(old_ledger).crash()
    Rig(tmp_path / "new").crash()
    assert structure(old_ledger / "ledger.sqlite") == structure(tmp_path / "new" / "ledger.sqlite")
    assert set(schema._MIGRATIONS) == set(range(1, schema.SCHEMA_VERSION))


def test_a_migration_that_fails_leaves_the_file_as_it_was(old_ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_ledger / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        before = list(db.iterdump())
    broken = schema._MIGRATIONS[1] + "\nINSERT INTO device (key) VALUES (NULL);\n"
    monkeypatch.setitem(schema._MIGRATIONS, 1, broken)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.IntegrityError):
            schema.prepare(db, path)
        assert list(db.iterdump()) == before


def test_an_old_ledger_can_be_reported_without_being_changed(old_ledger: Path) -> None:
    path = old_ledger / "ledger.sqlite"
    before = path.read_bytes()
    with closing(open_for_reading(old_ledger)) as db:
        record = run_record(db, "kd")
    assert record is not None
    assert record["joules"] == 20000
    assert path.read_bytes() == before
