"""A job over two nodes, each with an exporter: both book it once, whatever the number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from exporter_process import Exporter, free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "torchrun" / "train.py"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Exporter]]:
    found = [Exporter(tmp_path / f"node{number}", "--source", "replay").start() for number in range(2)]
    yield found
    for node in found:
        node.http.close()
        node.kill()


@pytest.fixture
def folders() -> Iterator[list[Path]]:
    """A folder for each node; its path is short, as it is part of a socket's."""
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        yield [Path(first), Path(second)]


def test_every_node_tells_its_own_exporter_once(nodes: list[Exporter], folders: list[Path]) -> None:
    port = str(free_port())
    jobs = []
    for rank, node in enumerate(nodes):
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
        command += ["--master-addr", "127.0.0.1", "--master-port", port, "--nproc-per-node", "2", str(SCRIPT)]
        # Processes of one node find each other in these folders, which two nodes do not have in common.
        own = {"TMPDIR": str(folders[rank])}
        environment = {**os.environ, **own, "JOULEMARK_URL": node.url, "RUN": "kd-two-nodes", "OMP_NUM_THREADS": "1"}
        jobs.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    said = [job.communicate(timeout=240)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    for node in nodes:
        [window] = node.http.get("/api/v1/windows", params={"run": "kd-two-nodes"}).json()
        assert window["stage"] == "student"
        assert window["tokens"] == {"trained": 200}
