"""`joulemark import` of other tools' files: side by side in one ledger, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports.foreign_files import emission, harness_stage, put, window, written
from typer.testing import CliRunner

from joulemark.cli.main import app
from joulemark.disk.history import list_runs, run_record
from joulemark.disk.ledger_file import open_for_reading
from joulemark.imports import ImportFailed
from joulemark.imports.stage_map import StageMap
from joulemark.run_record import RunRecord


def imported(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["import", *(str(one) for one in arguments)])
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.output


def records(folder: Path) -> dict[str, RunRecord]:
    db = open_for_reading(folder)
    try:
        names = [str(record["run"]) for record in list_runs(db)]
        return {name: RunRecord.from_json(run_record(db, name)) for name in names}
    finally:
        db.close()


@pytest.mark.parametrize("text", ["", "x", "=student", "x=", "x=Student", "x=student/ a", "x=unattributed"])
def test_a_map_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ImportFailed, match=r"write NAME=STAGE or NAME=STAGE/PHASE, e\.g\. epoch=student/kd"):
        StageMap.parse([text])


def test_all_of_them_stand_side_by_side_in_one_ledger_and_importing_again_changes_nothing(tmp_path: Path) -> None:
    emissions = written(tmp_path / "emissions.csv", [emission()])
    log = written(tmp_path / "log.csv", [window("train", 100.0, 50.0, 500.0)])
    put(tmp_path / "harness", "student_train.json", harness_stage("student_train"))
    state = ("--state-dir", tmp_path / "state")
    facts = ("--pipeline", "kd", "--student", "s", "--seed", "3")
    commands: list[tuple[object, ...]] = [
        ("codecarbon", emissions, "--stage", "student/kd", *facts, *state),
        ("zeus", log, "--run", "z", *facts, *state),
        ("harness", tmp_path / "harness", "--run", "h", *facts, *state),
        ("paper", *state),
    ]
    for command in commands:
        imported(*command)
    found = records(tmp_path / "state")
    assert {name: record.origin for name, record in found.items() if "paper" not in name} == {
        "kd-run-1-845a8f50": "measured", "z": "measured", "h": "measured",
    }  # fmt: skip
    assert {found[name].labels["importer"] for name in ("z", "h", "kd-run-1-845a8f50", "paper-kd-1b")} == {
        "zeus", "harness", "codecarbon", "paper",
    }  # fmt: skip
    assert (found["z"].seed, found["z"].student, found["z"].uncertainty_joules) == (3, "s", None)
    assert found["kd-run-1-845a8f50"].stages[0].phase == "kd"
    before = records(tmp_path / "state")
    assert all("0 runs added" in imported(*command) for command in commands)
    assert records(tmp_path / "state") == before
