"""Teacher artifacts on disk: whole and verified or not there, resumable, shared, refused where made otherwise."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.teacher.artifact import Artifact, nearest, open_artifact

KEY = {"teacher": "t", "top_k": 5, "temperature": 1.0}


def table(number: int) -> pa.Table:
    return pa.table({"x": pa.array(np.full(4, number, dtype=np.int32))})


def opened(root: Path, shards: int = 3, **other: Any) -> Artifact:
    return open_artifact(root, "logit_cache", {**KEY, **other}, shards)


def filled(root: Path, *numbers: int, made_by: str = "kd-1") -> Artifact:
    artifact = opened(root)
    for number in numbers:
        artifact.append(number, table(number), 40, made_by)
    return artifact


def test_what_is_written_in_any_order_comes_back_in_order(tmp_path: Path) -> None:
    filled(tmp_path, 2, 0)
    resumed = opened(tmp_path)
    assert (resumed.missing, resumed.tokens, resumed.is_complete) == ([1], 80, False)
    resumed.append(1, table(1), 40, "kd-2")
    whole = opened(tmp_path)
    assert whole.is_complete
    assert whole.makers == ["kd-1", "kd-2"]
    assert whole.read()["x"][:].tolist() == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize("damage", ["changed", "shortened", "lost", "unsigned"])
def test_a_shard_that_is_not_what_it_was_is_made_anew(tmp_path: Path, damage: str) -> None:
    shard = filled(tmp_path, 0, 1, 2).folder / "00001.arrow"
    data = shard.read_bytes()
    if damage == "changed":
        shard.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "shortened":
        shard.write_bytes(data[:-8])
    elif damage == "lost":
        shard.unlink()
    else:
        shard.with_suffix(".json").unlink()
    assert opened(tmp_path).missing == [1]
    with pytest.raises(WorkloadError, match="shard 1 is missing"):
        opened(tmp_path).read()


@pytest.mark.parametrize("other", [{"teacher": "u"}, {"top_k": 6}, {"temperature": 2.0}, {"data": "d"}])
def test_another_key_is_another_artifact(tmp_path: Path, other: dict[str, Any]) -> None:
    assert filled(tmp_path, 0).identity != opened(tmp_path, **other).identity
    assert opened(tmp_path, **other).missing == [0, 1, 2]


def test_the_nearest_is_told_with_its_differences(tmp_path: Path) -> None:
    assert nearest(tmp_path, "logit_cache", KEY) is None
    filled(tmp_path, 0)
    opened(tmp_path, teacher="u", top_k=9).append(0, table(0), 40, "r")
    found = nearest(tmp_path, "logit_cache", {**KEY, "top_k": 6})
    assert found
    assert found[1] == "top_k: 5 there, 6 asked for"


def test_one_made_otherwise_is_refused_with_the_difference_named(tmp_path: Path) -> None:
    folder = filled(tmp_path, 0, 1, 2).folder
    assert open_artifact(tmp_path, "logit_cache", KEY, 3, use=str(folder)).is_complete
    with pytest.raises(WorkloadError, match="top_k: 5 there, 6 asked for"):
        open_artifact(tmp_path, "logit_cache", {**KEY, "top_k": 6}, 3, use=str(folder))
    with pytest.raises(WorkloadError, match=r"has no manifest\.json"):
        open_artifact(tmp_path, "logit_cache", KEY, 3, use=str(tmp_path / "nowhere"))
    manifest = folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["key"]["teacher"] = "somebody else"
    manifest.write_text(json.dumps(data))
    with pytest.raises(WorkloadError, match="teacher: somebody else there, t asked for"):
        opened(tmp_path)
    manifest.write_text("{")
    with pytest.raises(WorkloadError, match="damaged"):
        opened(tmp_path)


def test_a_full_disk_leaves_what_was_whole_and_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = filled(tmp_path, 0)
    files = set(artifact.folder.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        artifact.append(1, table(1), 40, "kd-1")
    assert set(artifact.folder.iterdir()) == files
    assert opened(tmp_path).missing == [1, 2]


def _fill_and_die(root: Path) -> None:
    artifact = filled(root, 0)
    partial = artifact.folder / f".00001.arrow.{os.getpid()}.partial"
    partial.write_bytes(b"half")
    os.kill(os.getpid(), 9)


def test_a_killed_process_leaves_its_whole_shards(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert opened(tmp_path).missing == [1, 2]


def _hold(root: Path, held: Any, go: Any) -> None:
    artifact = opened(root)
    with artifact.held():
        held.set()
        go.wait(60)
        artifact.append(0, table(0), 40, "first")


def test_two_processes_do_not_make_the_same_shard(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, go = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, go))
    process.start()
    assert held.wait(60)
    artifact = opened(tmp_path)
    assert artifact.missing == [0, 1, 2]
    go.set()
    with artifact.held():
        assert artifact.missing == [1, 2]
    process.join(60)
