"""A fault ends a phase with cause and remedy: its stage is closed, its joules are kept, the next start goes on."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exporter_process import Exporter
from tiny_model import tiny_folder

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.phases.faults import explained
from joulemark_workloads.phases.record import Record
from joulemark_workloads.phases.sequence import run_phases


@pytest.fixture
def exporter(make_exporter: Callable[..., Exporter]) -> Exporter:
    return make_exporter("--source", "cpu_model")


def run(exporter: Exporter, config: Path, work: Path, *settings: str) -> Record:
    (cell,) = cells_of(read_document(config, settings))
    return run_phases(cell, "r", work, url=exporter.url)


def failed(exporter: Exporter, work: Path, phase: str) -> float:
    """No stage is open, the record says that the phase failed; the joules of the run so far."""
    assert exporter.http.get("/api/v1/stage").json() == []
    kept = json.loads((work / "runs" / "r" / "record.json").read_text())["phases"][phase]
    assert kept["state"] == "failed"
    return float(exporter.http.get("/api/v1/runs/r").json()["joules"])


@pytest.mark.parametrize(
    ("error", "phase", "remedy"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "teacher", "logit_cache.batch_blocks"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "eval", "evaluation.batch_size"),
        (MemoryError(), "student", "training.micro_batch_blocks"),
    ],
)
def test_out_of_memory_names_what_to_lower(error: Exception, phase: str, remedy: str) -> None:
    with pytest.raises(WorkloadError, match=rf"{phase}: out of memory \(.+\): lower {remedy}"), explained(phase):
        raise error


def test_other_errors_pass_as_they_are() -> None:
    for error in (RuntimeError("shapes do not match"), FileNotFoundError(errno.ENOENT, "gone")):
        with pytest.raises(type(error)) as caught, explained("teacher"):
            raise error
        assert caught.value is error


def test_a_full_disk_keeps_the_whole_shards_and_the_next_start_makes_the_rest(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, sync = experiment_file("kd"), os.fsync
    synced: list[int] = []

    def full_at_the_third_shard(file: int) -> None:
        # The manifest first, then two files a shard.
        synced.append(file)
        if len(synced) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full_at_the_third_shard)
        with pytest.raises(WorkloadError, match=r"teacher: the disk is full .*make room or set --work-dir elsewhere"):
            run(exporter, config, tmp_path)
    before = failed(exporter, tmp_path, "teacher")
    shards = {path: path.stat().st_mtime_ns for path in tmp_path.glob("artifacts/logit_cache/*/*.arrow")}
    assert len(shards) == 2
    assert run(exporter, config, tmp_path).has("eval")
    assert all(path.stat().st_mtime_ns == written for path, written in shards.items())
    assert exporter.http.get("/api/v1/runs/r").json()["joules"] > before > 0


def test_a_loss_that_is_no_number_fails_the_training_and_keeps_the_teachers_work(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment_file("kd")

    def not_a_number(*_: Any, **__: Any) -> torch.Tensor:
        return torch.tensor(math.nan, requires_grad=True)

    with monkeypatch.context() as broken:
        broken.setattr("joulemark_workloads.student.trainer.distillation_loss", not_a_number)
        with pytest.raises(WorkloadError, match=r"loss is nan at step 1: lower training\.learning_rate"):
            run(exporter, config, tmp_path)
    before = failed(exporter, tmp_path, "student")
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("artifacts/logit_cache/*/*.arrow")}
    assert run(exporter, config, tmp_path).has("eval")
    assert made
    assert all(path.stat().st_mtime_ns == written for path, written in made.items())
    assert exporter.http.get("/api/v1/runs/r").json()["joules"] > before > 0


def test_a_student_of_other_tokens_is_refused_before_the_teacher_works(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = experiment_file("kd")
    other = tiny_folder(tmp_path / "other", vocabulary=280)
    config.write_text(config.read_text().replace("student: {layers: 2}", f"student: {other}"))
    with pytest.raises(WorkloadError, match="do not share a tokenizer"):
        run(exporter, config, tmp_path / "work")
    failed(exporter, tmp_path / "work", "data")
    assert not list((tmp_path / "work").glob("artifacts/*/*"))


def test_an_empty_data_set_is_named(exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(WorkloadError, match=r"none\.jsonl' is empty: it has 1 rows and none with text"):
        run(exporter, experiment_file("sft"), tmp_path / "work", f"data.source={tmp_path / 'none.jsonl'}")
    failed(exporter, tmp_path / "work", "data")
