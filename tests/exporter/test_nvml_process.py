"""A real exporter on scripted GPUs: what it books, what it shows, and drivers that are not there yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter
from nvml_mock import Gpu, LiveMachine

NO_PERMISSION = 4
MakeExporter = Callable[..., Exporter]


def shows(metrics: dict[str, float], name: str, **labels: str) -> bool:
    """Whether a series of this name with these labels is among the metrics."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return any(series.startswith(name + "{") and all(part in series for part in wanted) for series in metrics)


@pytest.mark.parametrize("source", ["auto", "nvml_counter", "nvml_power"])
def test_the_joules_of_each_gpu_are_booked_and_its_state_is_shown(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path, source: str
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    exporter = make_exporter("--source", source, env=machine.environment)
    window = exporter.put_stage("kd", "teacher")["id"]
    since = machine.now()
    exporter.wait_for("two seconds", lambda _: machine.now() - since > 2)
    summary = exporter.end_stage(window)
    for device, watts in (("gpu0", 100.0), ("gpu1", 400.0)):
        error = abs(summary["joules_by_device"][device] - watts * summary["seconds"])
        assert error <= summary["uncertainty_joules"] + 0.1
    assert summary["uncertainty_joules"] < 0.1 * summary["joules"]
    record = exporter.http.get("/api/v1/runs/kd").json()
    assert record["origin"] == "measured"
    assert record["stages"][0]["power_integral_joules"] == pytest.approx(summary["joules"], rel=0.1)
    metrics = exporter.wait_for("vitals", lambda found: shows(found, "joulemark_gpu_sm_clock_hertz", device="gpu1"))
    shown = "nvml_power" if source == "nvml_power" else "nvml_counter"
    uuid = "GPU-00000001-0000-0000-0000-000000000000"
    info = f'joulemark_device_info{{device="gpu1",driver="570.00",model="Mock GPU",source="{shown}",uuid="{uuid}"}}'
    assert metrics[info] == 1
    assert metrics['joulemark_power_watts{device="gpu1",phase="",run="",stage="unattributed"}'] == 400
    assert metrics['joulemark_gpu_throttle_active{device="gpu0",reason="sw_power_cap"}'] == 1
    assert metrics['joulemark_gpu_throttle_active{device="gpu0",reason="hw_thermal"}'] == 0
    assert metrics['joulemark_gpu_sm_clock_hertz{device="gpu0"}'] == 1.98e9
    assert metrics['joulemark_gpu_utilization_ratio{device="gpu0"}'] == 0.5


def test_a_library_without_a_driver_says_what_to_do(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu()], watts=[100.0])
    machine.fault("driver")
    with pytest.raises(AssertionError, match="modprobe nvidia"):
        make_exporter("--source", "nvml_counter", env=machine.environment)


def test_no_library_at_all_says_what_to_do(make_exporter: MakeExporter, tmp_path: Path) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has the library")
    with pytest.raises(AssertionError, match=r"libnvidia-ml\.so\.1 is not installed"):
        make_exporter("--source", "nvml_counter", env={"LD_LIBRARY_PATH": str(tmp_path)})


def test_auto_takes_up_a_driver_that_comes_later_without_a_restart(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    if list(Path("/sys/class/powercap").glob("*-rapl:*")) or shutil.which("nvidia-smi"):
        pytest.skip("this machine can be measured")
    started = []
    for missing in ("driver", "library"):
        (folder := tmp_path / missing).mkdir()
        machine = LiveMachine(folder, folder, [Gpu(), Gpu()], watts=[100.0, 400.0])
        if missing == "driver":
            shutil.copy(nvml_library / "libnvidia-ml.so.1", folder)
            machine.fault("driver")
        exporter = make_exporter("--source", "auto", "--state-dir", str(folder / "state"), env=machine.environment)
        assert shows(exporter.metrics(), "joulemark_device_info", source="cpu_model")
        started.append((machine, exporter, exporter.put_stage("kd", "teacher")["id"]))
    for machine, _, _ in started:
        machine.mend()
    shutil.copy(nvml_library / "libnvidia-ml.so.1", tmp_path / "library")
    for machine, exporter, window in started:
        both_gpus_came(machine, exporter, window)


def both_gpus_came(machine: LiveMachine, exporter: Exporter, window: str) -> None:
    metrics = exporter.wait_for(
        "both GPUs", lambda found: shows(found, "joulemark_device_info", source="nvml_counter", device="gpu1")
    )
    assert not shows(metrics, "joulemark_device_info", source="cpu_model")
    # Whoever held all devices there were holds those that came.
    assert metrics['joulemark_stage_active{device="gpu1",phase="",run="kd",stage="teacher"}'] == 1
    since = machine.now()
    exporter.wait_for("a second", lambda _: machine.now() - since > 1)
    summary = exporter.end_stage(window)
    assert 300 < summary["joules_by_device"]["gpu1"] < 400 * summary["seconds"]


def test_a_gpu_that_hangs_at_the_start_holds_up_nobody_and_joins_later(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    machine.fault("hang", gpu=0)
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    found = exporter.metrics()
    assert shows(found, "joulemark_device_info", device="gpu1")
    assert not shows(found, "joulemark_device_info", device="gpu0")
    assert "gpu_index=0 not usable now, tried again every second: it does not answer" in exporter.log()
    window = exporter.put_stage("kd", "teacher")["id"]
    machine.mend()
    exporter.wait_for("gpu0", lambda found: shows(found, "joulemark_device_info", device="gpu0", source="nvml_counter"))
    since = machine.now()
    exporter.wait_for("a second", lambda _: machine.now() - since > 1)
    assert exporter.end_stage(window)["joules_by_device"]["gpu0"] > 50


def test_a_refused_counter_is_stood_in_for_and_taken_up_when_it_is_permitted(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu({"tick": 0.02})], watts=[300.0])
    machine.error("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION)
    exporter = make_exporter("--source", "auto", env=machine.environment)
    booked = []
    for source in ("nvml_power", "nvml_counter"):
        found = exporter.wait_for(source, lambda x: shows(x, "joulemark_device_info", device="gpu0", source=source))  # noqa: B023  called at once
        assert found['joulemark_source_up{device="gpu0"}'] == 1
        window, since = exporter.put_stage("kd", "teacher")["id"], machine.now()
        exporter.wait_for("two seconds", lambda _: machine.now() - since > 2)  # noqa: B023
        booked.append(exporter.end_stage(window))
        machine.mend()
    for summary in booked:
        assert abs(summary["joules"] - 300 * summary["seconds"]) <= summary["uncertainty_joules"] + 0.1
    # By then there were no more refusals to count.
    refusals = 'joulemark_read_errors_total{device="gpu0",reason="nvml_insufficient_permissions"}'
    assert 10 < found[refusals] == exporter.metrics()[refusals]
    said = exporter.stop_and_read_log()
    assert said.count("counter_refused") == said.count("event=counter_back") == 1
    assert "device=gpu0 event=counter_refused reason=nvml_insufficient_permissions: power is sampled" in said


def test_modelled_energy_is_said_to_be_so(make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path) -> None:
    if list(Path("/sys/class/powercap").glob("*-rapl:*")) or shutil.which("nvidia-smi"):
        pytest.skip("this machine can be measured")
    exporter = make_exporter("--source", "auto", env={"LD_LIBRARY_PATH": str(tmp_path)})
    assert shows(exporter.metrics(), "joulemark_device_info", source="cpu_model")
    said = exporter.stop_and_read_log()
    assert "MODELLED" in said
    assert "libnvidia-ml.so.1 is not installed" in said
