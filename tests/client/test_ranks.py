"""Several local ranks of one job: rank 0 speaks, the counts of all of them arrive."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from exporter_process import Exporter
from fake_exporter import FakeExporter

import joulemark
from joulemark.client import timing
from joulemark.client.local_ranks import Message, socket_path

RANK = """
import os, sys, time, joulemark
rank = int(os.environ["LOCAL_RANK"])
if os.environ.get("PATIENT"):
    joulemark.client.timing.UNHEARD_SECONDS = joulemark.client.timing.EXIT_SECONDS = 100.0
time.sleep(float(sys.argv[1]) * (rank == 0))        # the ears may open late
time.sleep(float(sys.argv[3]) * (rank != 0))        # the others may begin when rank 0 is through
with joulemark.run("kd-1", teacher="T") as run:
    for _ in range(2):
        with run.stage("student", phase="kd") as stage:
            for _ in range(50):
                stage.add_tokens(trained=10 + rank)
            time.sleep(0.2)
    with run.stage("eval") as stage:
        stage.add_tokens(evaluated=100)
    run.score("gsm8k", 0.1 * rank)
    time.sleep(float(sys.argv[2]) * (rank != 0))    # the others may leave late
    print(run.power_watts() is not None)
"""


def ranks(
    count: int, url: str, late_ear: float = 0.0, late_leave: float = 0.0, late_begin: float = 0.0, **environment: str
) -> list[tuple[str, str]]:
    job = {**environment, "JOULEMARK_URL": url, "MASTER_PORT": url.rpartition(":")[2]}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(late_ear), str(late_leave), str(late_begin)],
            env={**os.environ, **job, "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    return said


@pytest.mark.parametrize(("late_ear", "late_leave"), [(0.0, 0.0), (1.0, 0.0), (0.0, 0.5)])
def test_rank_0_speaks_and_counts_for_all(late_ear: float, late_leave: float, fake: FakeExporter) -> None:
    said = ranks(4, fake.url, late_ear, late_leave)
    assert [err for _, err in said] == [""] * 4
    assert [out.strip() for out, _ in said] == ["True", "False", "False", "False"]
    windows = [(window["stage"], window["tokens"]) for window in fake.windows.values()]
    assert windows == [
        ("student", {"trained": 50 * (10 + 11 + 12 + 13)}),
        ("student", {"trained": 50 * (10 + 11 + 12 + 13)}),
        ("eval", {"evaluated": 400}),
    ]
    assert [body["score"] for body in fake.made("POST", "/runs/kd-1/scores")] == [0.0]


def test_ranks_that_begin_when_rank_0_is_through_count(fake: FakeExporter) -> None:
    said = ranks(2, fake.url, late_begin=1.5, LOCAL_WORLD_SIZE="2", PATIENT="yes")
    assert [err for _, err in said] == ["", ""]
    assert [window["tokens"] for window in fake.windows.values()] == [
        {"trained": 50 * (10 + 11)},
        {"trained": 50 * (10 + 11)},
        {"evaluated": 200},
    ]


def test_a_rank_whose_rank_0_never_comes_says_what_was_not_counted(
    monkeypatch: pytest.MonkeyPatch, fake: FakeExporter
) -> None:
    monkeypatch.setattr(timing, "WAIT_SECONDS", 0.25)
    monkeypatch.setenv("MASTER_PORT", str(fake.port))
    run = joulemark.run("kd-1", url=fake.url, local_rank=1, strict=True)
    with run.stage("student") as stage:
        stage.add_tokens(trained=5)
    with pytest.raises(joulemark.ClientError, match="5 tokens of local rank 1 were not counted"):
        run.close()
    assert fake.calls == []


def test_torchrun_with_gloo(exporter: Exporter, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        """
import torch, torch.distributed as dist, joulemark
dist.init_process_group("gloo")
with joulemark.run("ddp") as run, run.stage("student") as stage:
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 8))
    for _ in range(5):
        model(torch.ones(4, 8)).sum().backward()
        stage.add_tokens(trained=32)
    dist.barrier()
dist.destroy_process_group()
"""
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    env = {**os.environ, "JOULEMARK_URL": exporter.url, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(launch, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    stages = exporter.http.get("/api/v1/runs/ddp").json()["stages"]
    assert [(stage["stage"], stage["windows"], stage["tokens"]) for stage in stages] == [
        ("student", 1, {"trained": 2 * 5 * 32})
    ]


def test_rubbish_on_the_socket_is_not_counted(monkeypatch: pytest.MonkeyPatch, fake: FakeExporter) -> None:
    monkeypatch.setenv("MASTER_PORT", str(fake.port))
    run = joulemark.run("rubbish", url=fake.url, local_rank=0)
    with run.stage("student") as stage, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        stage.add_tokens(trained=1)
        good = Message("x", 1, "student", "", 1, {"trained": 4}).encoded()
        bad = Message("y", 1, "student", "", 1, {"trained": -4}).encoded()
        for message in (b"", b"\xff\x00", b"{}", b"[" * 9000, b'{"who": 1}', bad, good, good):
            sender.sendto(message, socket_path("rubbish", 1))
        sender.sendto(Message("x", 1, leaves=True).encoded(), socket_path("rubbish", 1))
    run.close()
    assert fake.windows["w0"]["tokens"] == {"trained": 5}


def test_the_meeting_place_is_for_one_user_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = Path(socket_path("kd-1", 1)).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="not a folder of this user alone"):
        socket_path("kd-1", 1)
