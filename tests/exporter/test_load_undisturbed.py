"""The meter only looks: no call that changes, wakes or blocks a GPU, no memory on it, no CUDA context."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from exporter_process import Exporter
from nvml_mock import Gpu, LiveMachine

import joulemark

# Reads of what the driver knows already; none of them allocates on the GPU, waits for it or changes a setting.
READ_ONLY = {
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlSystemGetDriverVersion",
    "nvmlDeviceGetArchitecture",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetName",
    "nvmlDeviceGetPowerManagementLimit",
    "nvmlDeviceGetPowerManagementLimitConstraints",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetUtilizationRates",
}
SOURCES = Path(joulemark.__file__).parent / "sources"


def name_in_library(name: str) -> str:
    """What nvidia-ml-py's name is called in the library."""
    versions = {"nvmlInit": "nvmlInitWithFlags", "nvmlDeviceGetCount": "nvmlDeviceGetCount_v2"}
    versions["nvmlDeviceGetHandleByIndex"] = "nvmlDeviceGetHandleByIndex_v2"
    return versions.get(name, name)


def test_a_running_exporter_makes_no_other_call_whatever_happens(
    make_exporter: Callable[..., Exporter], nvml_library: Path, tmp_path: Path
) -> None:
    gpus = [Gpu(), Gpu({"instant": 0, "average": 1}), Gpu({"counter": 0, "mig": 1}), Gpu({"module": 90})]
    machine = LiveMachine(nvml_library, tmp_path, gpus, watts=[100.0, 200.0, 300.0, 400.0])
    exporter = make_exporter("--source", "auto", env=machine.environment)
    window = exporter.put_stage("kd", "teacher")["id"]
    exporter.wait_for("vitals", lambda found: 'joulemark_gpu_sm_clock_hertz{device="gpu3"}' in found)
    for fault in ("lost", "driver"):
        machine.fault(fault, gpu=1)
        exporter.wait_for("gpu1 down", lambda found: found['joulemark_source_up{device="gpu1"}'] == 0)
        machine.mend()
        exporter.wait_for("gpu1 back", lambda found: found['joulemark_source_up{device="gpu1"}'] == 1)
    exporter.end_stage(window)
    mapped = Path(f"/proc/{exporter.process.pid}/maps").read_text()
    assert str(nvml_library) in mapped
    assert not any(library in mapped for library in ("libcuda", "libcudart", "libnvrtc", "libtorch"))
    exporter.terminate()
    called = set(machine.calls.read_text().split())
    assert called <= READ_ONLY
    # The recording itself works: these are what a reading is made of.
    assert {"nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage"} <= called
    assert {"nvmlInitWithFlags", "nvmlShutdown"} <= called


def test_the_sources_name_no_other_call() -> None:
    """What the mock does not know would fail there unseen: so the text is held to the list too."""
    named = {
        node.attr
        for path in (SOURCES / name for name in ("nvml.py", "nvml_gauge.py", "nvml_calls.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr.startswith("nvml")
    } - {"nvmlReturn", "nvmlLib"}
    assert named
    assert {name_in_library(name) for name in named} <= READ_ONLY
