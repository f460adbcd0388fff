"""A ledger that is exported and imported is the same ledger, and a pruned one still adds up."""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from counters import gone_down
from exporter_process import Exporter
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_rig import Rig
from typer.testing import CliRunner

from joulemark.cli.main import app
from joulemark.disk.batch import Batch
from joulemark.disk.journal import _commit
from joulemark.disk.ledger_file import FILE_NAME, LedgerFile, open_for_reading
from joulemark.disk.prune import to_prune
from joulemark.disk.transfer import export_lines, import_lines
from joulemark.errors import LedgerError
from joulemark.imports import book
from joulemark.imports.paper import paper_runs


def exported(folder: Path) -> list[str]:
    with closing(open_for_reading(folder)) as db:
        return list(export_lines(db, folder / FILE_NAME))


def dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return sorted(db.iterdump())


def command(*argv: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in argv])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
totals = st.builds(
    lambda joules, tokens: json.dumps({"joules": joules, "tokens": tokens, "bound_joules": None}),
    st.dictionaries(texts, numbers, max_size=2),
    st.dictionaries(texts, st.integers(0, 2**62), max_size=2),
)
tables: dict[str, Any] = {
    "run": st.tuples(texts, numbers, numbers, texts, st.just("{}"), st.booleans()),
    "series": st.tuples(texts, texts, texts, totals),
    "score": st.tuples(
        texts, texts, numbers, st.none() | numbers, st.none() | st.integers(1, 2**53), st.none() | numbers
    ),
    "artifact": st.tuples(texts, texts, texts, texts),
    "pruned": st.tuples(texts, st.fractions(max_denominator=2**60).map(str)),
    "request": st.tuples(texts, texts, texts, st.just("[]")),
    "device": st.tuples(
        texts, texts, texts, texts, texts, texts, st.booleans(), numbers, numbers, st.none() | numbers,
        st.none() | numbers, st.just("{}"), st.integers(0, 2**62), st.just("{}"), st.just("{}"), st.none() | numbers,
    ),
    "window": st.tuples(
        texts, texts, texts, texts, st.just("[]"), texts, st.booleans(), st.booleans(), st.none() | texts, numbers,
        st.none() | numbers, st.none() | numbers, st.none() | numbers, st.none() | numbers, totals,
    ),
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows=st.fixed_dictionaries({table: st.lists(row, max_size=4) for table, row in tables.items()}))
def test_any_rows_come_back_to_the_last_bit(rows: dict[str, list[tuple[Any, ...]]]) -> None:
    batch = Batch()
    for table, found in rows.items():
        batch.put(table, found)
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        file = LedgerFile(Path(first))
        with closing(file.open_to_write()) as db:
            _commit(db, batch)
        file.end_reading()
        file.close()
        lines = exported(Path(first))
        counts = import_lines(lines, Path(second))
        assert exported(Path(second)) == lines
        assert dump(Path(second)) == dump(Path(first))
        assert sum(counts.values()) == len(lines) - 1


def test_an_exporter_goes_on_from_an_imported_ledger_as_from_its_own(rig: Rig, tmp_path: Path) -> None:
    rig.begin("kd", "teacher", ttl_seconds=60)
    rig.wait(2)
    window = rig.begin("kd", "student", ttl_seconds=60)
    rig.meter.heartbeat(window, {"trained": 7})
    rig.meter.score("kd", "gsm8k", 0.1, 0.3, 7)
    rig.meter.artifact("kd", "sha256:é", "logit_cache", "produced")
    rig.wait(2)
    rig.crash()
    book(paper_runs(), rig.folder)
    lines = exported(rig.folder)
    other = tmp_path / "other"
    import_lines(lines, other)
    rig.start()
    here = rig.samples()
    rig.crash()
    rig.folder = other
    rig.start()
    there = rig.samples()
    commit = "joulemark_ledger_commit_seconds"  # how long the disk took is no part of a ledger
    assert there | {commit: 0.0} == here | {commit: 0.0}
    assert rig.meter.end(window, {})["tokens"] == {"trained": 7}


def test_every_line_is_json_that_any_tool_reads(rig: Rig) -> None:
    rig.crash()
    book(paper_runs(), rig.folder)
    for line in exported(rig.folder):
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    rig.start()
    # A bound that nobody knows is null, and not 0.
    published = [key for key in rig.meter.ledger.state.series if key.run == "paper-kd-1b"]
    assert all(math.isinf(rig.meter.ledger.state.series[key].bound_joules) for key in published)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[1:], "line 1: this is no exported ledger"),
        (lambda lines: [lines[0].replace("1,", "9,"), *lines[1:]], "has format 9"),
        (lambda lines: [*lines[:3], "{half a", *lines[3:]], "line 4: this is no row"),
        (lambda lines: [*lines, '{"window": {"id": "x"}}'], "this is no row"),
        (lambda lines: [*lines, '{"other": {}}'], "this is no row"),
        (lambda lines: [*lines, lines[-1]], "cannot be in a ledger"),
        (lambda lines: [], "line 1: this is no exported ledger"),
    ],
)
def test_a_file_that_is_not_right_is_named_by_line_and_leaves_nothing(
    rig: Rig, tmp_path: Path, change: Any, words: str
) -> None:
    rig.begin("kd", "teacher")
    rig.meter.snapshot()
    lines = exported(rig.folder)
    with pytest.raises(LedgerError, match=words):
        import_lines(change(lines), tmp_path / "new")
    assert not (tmp_path / "new" / FILE_NAME).exists()
    import_lines(lines, tmp_path / "new")


def test_a_folder_with_a_ledger_is_left_alone(rig: Rig, tmp_path: Path) -> None:
    lines = exported(rig.folder)
    import_lines(lines, tmp_path / "new")
    before = dump(tmp_path / "new")
    with pytest.raises(LedgerError, match="has a ledger already"):
        import_lines(lines, tmp_path / "new")
    assert dump(tmp_path / "new") == before
    with pytest.raises(LedgerError, match="in use by another exporter"):
        import_lines(lines, rig.folder)


def test_export_and_import_by_command(exporter: Exporter, tmp_path: Path) -> None:
    exporter.put_stage("kd", "teacher")
    exporter.metrics()
    file, new = tmp_path / "ledger.jsonl", tmp_path / "new"
    command("ledger", "export", str(file), "--state-dir", str(exporter.state_dir))
    assert "1 runs with 1 windows on 1 devices" in command("ledger", "import", str(file), "--state-dir", str(new))
    assert exported(new) == file.read_text().splitlines()
    assert command("ledger", "export", "--state-dir", str(new)).splitlines() == exported(new)


def test_which_runs_are_pruned() -> None:
    day = 86_400.0
    runs = [{"run": f"r{number}", "last_active_at": (100 - number) * day} for number in range(10)]
    now = 100 * day
    assert to_prune(runs, (), keep=7, older_than_days=None, now=now) == ["r7", "r8", "r9"]
    assert to_prune(runs, (), keep=None, older_than_days=6.5, now=now) == ["r7", "r8", "r9"]
    assert to_prune(runs, (), keep=8, older_than_days=3.5, now=now) == ["r8", "r9"]
    assert to_prune(runs, (), keep=2, older_than_days=8.5, now=now) == ["r9"]
    assert to_prune(runs, (), keep=10, older_than_days=None, now=now) == []
    assert to_prune(runs, {"r8"}, keep=7, older_than_days=None, now=now) == ["r7", "r9"]


@pytest.fixture
def three_runs(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    for name in ("one", "two", "three"):
        window = exporter.put_stage(name, "student")["id"]
        time.sleep(0.3)
        exporter.http.delete(f"/api/v1/stage/{window}")
    time.sleep(1.5)
    monkeypatch.setenv("JOULEMARK_URL", exporter.url)
    return exporter


def names(exporter: Exporter) -> list[str]:
    return [run["run"] for run in exporter.http.get("/api/v1/runs").json()]


def test_pruning_at_a_running_exporter_shows_first_and_asks(three_runs: Exporter) -> None:
    before = three_runs.metrics()
    assert "needs a bound" in command("runs", "--prune", code=2)
    assert "belong to --prune" in command("runs", "--keep", "1", code=2)
    asked = command("runs", "--prune", "--keep", "1")
    assert "say --yes" in asked
    assert "one" in asked
    assert names(three_runs) == ["three", "two", "one"]
    assert "nothing to prune" in command("runs", "--prune", "--older-than", "1", "--yes")
    assert "2 runs pruned" in command("runs", "--prune", "--keep", "1", "--yes")
    assert names(three_runs) == ["three"]
    after = three_runs.metrics()
    assert gone_down(before, after) == []
    stages = math.fsum(v for k, v in after.items() if k.startswith("joulemark_energy_joules_total"))
    assert stages == pytest.approx(after['joulemark_device_energy_joules_total{device="gpu0"}'], rel=1e-9)
    assert three_runs.http.delete("/api/v1/runs/one").status_code == 404
    three_runs.put_stage("three", "student")
    assert "nothing to prune" in command("runs", "--prune", "--keep", "0", "--yes")
    held = three_runs.http.delete("/api/v1/runs/three")
    assert (held.status_code, held.json()["field"]) == (409, "run")


def test_pruning_without_an_exporter(three_runs: Exporter) -> None:
    before = three_runs.metrics()
    folder = str(three_runs.state_dir)
    refused = CliRunner().invoke(app, ["runs", "--prune", "--keep", "0", "--yes", "--ledger", folder])
    assert "in use by another exporter" in str(refused.exception)
    three_runs.terminate()
    assert "2 runs pruned" in command("runs", "--prune", "--keep", "1", "--yes", "--ledger", folder)
    assert "three" in command("runs", "--ledger", folder)
    three_runs.start()
    assert names(three_runs) == ["three"]
    assert gone_down(before, three_runs.metrics()) == []
