"""`joulemark serve --processes` on the mock NVML: who computes on which GPU, bounded, and joined to watts in PromQL."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from exporter_process import Exporter
from nvml_mock import Gpu, LiveMachine, Machine
from prometheus_process import backfilled, sample

from joulemark.processes.on_gpus import processes_by_uuid
from joulemark.processes.watch import NAMED, ProcessWatch

MakeExporter = Callable[..., Exporter]
UUIDS = [f"GPU-0000000{n}-0000-0000-0000-000000000000" for n in range(2)]


def fake_proc(folder: Path, cgroups: dict[int, str]) -> Path:
    for pid, path in cgroups.items():
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "cgroup").write_text(f"0::{path}\n")
    return folder


def test_the_exporter_names_the_processes_of_each_gpu(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    gpus = [Gpu({"pids": f"{os.getpid()}+999999999"}), Gpu()]
    machine = LiveMachine(nvml_library, tmp_path, gpus, watts=[100.0, 400.0])
    exporter = make_exporter("--source", "nvml_counter", "--processes", env=machine.environment)
    metrics = exporter.wait_for("it has looked", lambda found: 'joulemark_device_processes{device="gpu0"}' in found)
    assert metrics['joulemark_device_processes{device="gpu0"}'] == 2
    assert metrics['joulemark_device_processes{device="gpu1"}'] == 0
    info = [name for name in metrics if name.startswith("joulemark_device_process_info{")]
    assert len(info) == 2
    assert any(f'pid="{os.getpid()}"' in name and f'uuid="{UUIDS[0]}"' in name for name in info)
    unseen = f'{{device="gpu0",kind="unseen",owner="",pid="999999999",uuid="{UUIDS[0]}"}}'
    assert metrics[f"joulemark_device_process_info{unseen}"] == 1


def test_without_the_option_nobody_is_named(make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu({"pids": str(os.getpid())})], watts=[100.0])
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    assert not [name for name in exporter.metrics() if name.startswith("joulemark_device_process")]


def test_owners_come_from_the_control_groups_and_are_bounded(nvml_library: Path, tmp_path: Path) -> None:
    many = list(range(1000, 1000 + NAMED + 6))
    Machine(nvml_library, tmp_path, [Gpu({"pids": "7+8"}), Gpu({"pids": "+".join(map(str, many))})])
    assert processes_by_uuid() == {UUIDS[0]: [7, 8], UUIDS[1]: many}
    owners = {
        7: f"/docker/{'ab' * 32}",
        8: "/slurm/uid_1/job_42/step_0",
        **dict.fromkeys(many, "/system.slice/a.service"),
    }
    watch = ProcessWatch(lambda: {UUIDS[0]: "gpu0", UUIDS[1]: "gpu1"}, proc=fake_proc(tmp_path / "proc", owners))
    watch.look()
    samples = {(name, labels): value for name, labels, value in watch.samples()}
    info = "joulemark_device_process_info"
    assert samples[info, ("gpu0", UUIDS[0], "7", "container", "ab" * 32)] == 1
    assert samples[info, ("gpu0", UUIDS[0], "8", "slurm", "42")] == 1
    assert samples["joulemark_device_processes", ("gpu1",)] == NAMED + 6
    assert len([1 for name, labels in samples if name == info and labels[0] == "gpu1"]) == NAMED


def test_a_driver_that_goes_is_said_once_and_leaves_nothing_stale(
    nvml_library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"pids": "7"})])
    watch = ProcessWatch(lambda: {UUIDS[0]: "gpu0"}, proc=tmp_path)
    watch.look()
    assert watch.samples()
    machine.script.fault("driver", machine.clock.steady())
    machine.script.save()
    for _ in range(2):
        watch.look()
    assert watch.samples() == ()
    assert len([line for line in caplog.messages if "cannot be listed" in line]) == 1


def test_the_documented_join_splits_each_devices_watts_among_its_owners(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "containers.md").read_text()
    found = re.search(r"```promql\n(.*?)```", page, re.DOTALL)
    assert found
    now = time.time() - 60
    lines = [
        "# TYPE joulemark_power_watts gauge",
        sample("joulemark_power_watts", {"device": "gpu0", "run": "", "stage": "unattributed"}, 300, now),
        sample("joulemark_power_watts", {"device": "gpu1", "run": "", "stage": "unattributed"}, 100, now),
        "# TYPE joulemark_device_process_info gauge",
    ]
    for device, pid, kind, owner in (
        ("gpu0", "1", "container", "ab"), ("gpu0", "2", "container", "ab"), ("gpu0", "3", "slurm", "42"),
        ("gpu1", "4", "slurm", "42"),
    ):  # fmt: skip
        labels = {"device": device, "uuid": f"GPU-{device}", "pid": pid, "kind": kind, "owner": owner}
        lines.append(sample("joulemark_device_process_info", labels, 1, now))
    with backfilled(tmp_path / "prometheus", "\n".join(lines)) as url:
        asked = {"query": found[1], "time": str(now + 1)}
        answer = httpx.get(f"{url}/api/v1/query", params=asked, trust_env=False).json()
    assert answer["status"] == "success", answer
    watts = {
        (row["metric"]["kind"], row["metric"]["owner"]): float(row["value"][1]) for row in answer["data"]["result"]
    }
    assert watts == {("container", "ab"): 150, ("slurm", "42"): 250}
