"""A ledger on disks that are really full or read-only, and come back."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from counters import gone_down
from exporter_process import Exporter, wait_for
from meter_rig import Rig

from joulemark.disk import journal


def up(rig: Rig) -> float:
    return rig.samples()["joulemark_ledger_up"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RETRY_SECONDS", 0.01)


class Tmpfs:
    """A file system of eight megabytes of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)

    def fill(self) -> None:
        with self.filler.open("ab") as file:
            while True:
                try:
                    file.write(b"x" * 65536)
                    file.flush()
                except OSError:
                    return


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Tmpfs]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    yield Tmpfs(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_and_room_again(tmpfs: Tmpfs) -> None:
    rig = Rig(tmpfs.path / "state")
    rig.begin("kd", "teacher")
    rig.wait(1)
    before = rig.samples()
    tmpfs.fill()
    for number in range(40):
        rig.begin("kd", f"stage{number}")
        rig.wait(0.3)
    during = rig.samples()
    assert (before["joulemark_ledger_up"], during["joulemark_ledger_up"]) == (1, 0)
    assert gone_down(before, during) == []
    assert len(rig.meter.run_record("kd")["stages"]) == 41  # type: ignore[arg-type]
    tmpfs.filler.unlink()
    wait_for(lambda: up(rig) == 1)
    rig.restart()
    assert gone_down(during, rig.samples()) == []
    rig.crash()


def test_a_start_on_a_full_disk(tmpfs: Tmpfs) -> None:
    rig = Rig(tmpfs.path / "state")
    rig.begin("kd", "teacher", ttl_seconds=60)
    rig.wait(1)
    before = rig.samples()
    rig.crash()
    tmpfs.fill()
    rig.start()
    rig.wait(2)
    during = rig.samples()
    assert during["joulemark_ledger_up"] == 0
    assert gone_down(before, during) == []
    assert rig.meter.run_record("kd")["joules"] > 0  # type: ignore[operator]
    tmpfs.filler.unlink()
    wait_for(lambda: up(rig) == 1)
    rig.restart()
    assert gone_down(during, rig.samples()) == []
    rig.crash()


def test_a_first_start_on_a_full_disk(tmpfs: Tmpfs) -> None:
    tmpfs.fill()
    rig = Rig(tmpfs.path / "state")
    rig.begin("kd", "teacher")
    rig.wait(1)
    during = rig.samples()
    assert during["joulemark_ledger_up"] == 0
    tmpfs.filler.unlink()
    wait_for(lambda: up(rig) == 1)
    rig.restart()
    assert gone_down(during, rig.samples()) == []
    rig.crash()


def test_a_start_on_a_read_only_disk_and_writable_again(tmpfs: Tmpfs) -> None:
    rig = Rig(tmpfs.path / "state")
    rig.begin("kd", "teacher", ttl_seconds=60)
    rig.wait(1)
    before = rig.samples()
    rig.crash()
    tmpfs.remount("ro")
    rig.start()
    rig.wait(2)
    during = rig.samples()
    assert during["joulemark_ledger_up"] == 0
    assert gone_down(before, during) == []
    tmpfs.remount("rw")
    wait_for(lambda: up(rig) == 1)
    rig.restart()
    assert gone_down(during, rig.samples()) == []
    rig.crash()


def test_a_real_exporter_that_may_write_no_more_bytes_goes_on_and_catches_up(exporter: Exporter) -> None:
    exporter.put_stage("kd", "teacher")
    before = exporter.metrics()
    assert before["joulemark_ledger_up"] == 1
    pid, (_, most) = exporter.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, most))
    wait_for(lambda: exporter.metrics()["joulemark_ledger_up"] == 0)
    exporter.put_stage("kd", "student")
    during = exporter.metrics()
    assert gone_down(before, during) == []
    assert len(exporter.http.get("/api/v1/runs/kd").json()["stages"]) == 2
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    wait_for(lambda: exporter.metrics()["joulemark_ledger_up"] == 1)
    seen = exporter.metrics()
    exporter.kill()
    exporter.start()
    after = exporter.metrics()
    assert gone_down(during, after) == []
    assert gone_down(seen, after) == []
