"""What the NVML source takes each GPU for: counter or power, which gauge, which scope, board or instance."""

from __future__ import annotations

from pathlib import Path

import pynvml
import pytest
from nvml_mock import Constant, Gpu, Machine

from joulemark.errors import ReadFailed, SourceUnavailable
from joulemark.sources import nvml
from joulemark.sources.base import Device
from joulemark.sources.nvml import NvmlSource

NO_PERMISSION, LOST, UNKNOWN = 4, 15, 999
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"


def device_of(library: Path, folder: Path, **properties: float | str) -> Device:
    """The one GPU of a machine, as the source describes it."""
    machine = Machine(library, folder, [Gpu(dict(properties))])
    (device,) = NvmlSource(machine.clock).devices
    return device


@pytest.mark.parametrize(
    ("properties", "gauge", "averaging"),
    [
        ({}, nvml.INSTANT_FIELD, 0.0),
        ({"average": 1}, nvml.INSTANT_FIELD, 0.0),
        ({"module": 90}, nvml.MODULE_FIELD, 0.0),
        ({"instant": 0, "arch": 7, "name": "NVIDIA A40"}, nvml.AVERAGED_CALL, 1.0),
        ({"instant": 0, "arch": 9, "name": "NVIDIA H100 PCIe"}, nvml.AVERAGED_CALL, 1.0),
        ({"instant": 0, "arch": 7, "name": "NVIDIA RTX A1000"}, nvml.AVERAGED_CALL, 1.0),
        ({"instant": 0, "arch": 7, "name": "NVIDIA RTX A3000 Laptop GPU"}, nvml.AVERAGED_CALL, 1.0),
        ({"instant": 0, "arch": 7, "name": "NVIDIA A100-SXM4-80GB"}, nvml.INSTANT_CALL, 0.0),
        ({"instant": 0, "arch": 7, "name": "NVIDIA A30"}, nvml.INSTANT_CALL, 0.0),
        ({"instant": 0, "arch": 5, "name": "Tesla V100-SXM2-16GB"}, nvml.INSTANT_CALL, 0.0),
    ],
)
def test_the_instantaneous_field_where_there_is_one_else_the_call_known_to_average_or_not(
    nvml_library: Path, tmp_path: Path, properties: dict[str, float | str], gauge: str, averaging: float
) -> None:
    device = device_of(nvml_library, tmp_path, **properties)
    assert (device.gauge, device.averaging_seconds) == (gauge, averaging)


def test_the_power_that_is_read_is_of_the_gauge_that_is_named(nvml_library: Path, tmp_path: Path) -> None:
    gpus = [Gpu({"average": 1.0}), Gpu({"average": 1.0, "instant": 0}), Gpu({"average": 1.0, "module": 150})]
    machine = Machine(nvml_library, tmp_path, gpus, idle_watts=100.0)
    source = NvmlSource(machine.clock)
    machine.script.power(1001.0, Constant(500.0))
    machine.script.save()
    machine.clock.move_to(1001.55)
    watts = [source.read(device).watts for device in source.devices]
    # Half a second after the step, refreshed up to 50 ms ago: an average has seen half of it.
    assert watts == [500.0, pytest.approx(300.0, abs=25.0), 650.0]


def test_counter_and_gauge_of_a_module_mean_the_same(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"module": 150, "tick": 0.02, "name": "NVIDIA GH200 480GB"})])
    source = NvmlSource(machine.clock)
    (device,) = source.devices
    before = source.read(device).energy_joules
    machine.clock.move_to(1010.0)
    after = source.read(device)
    assert before is not None
    assert after.energy_joules == pytest.approx(before + 10 * (60 + 150), abs=5)
    assert after.watts == 60 + 150
    assert device.model == "NVIDIA GH200 480GB (whole module, CPU included)"


@pytest.mark.parametrize(
    ("properties", "limit"),
    [({"limit": 300}, 450.0), ({"limit": 300, "max_limit": 700}, 1050.0), ({"limit": 0}, 2000.0)],
)
def test_no_power_that_may_be_set_later_is_absurd(
    nvml_library: Path, tmp_path: Path, properties: dict[str, float | str], limit: float
) -> None:
    assert device_of(nvml_library, tmp_path, **properties).power_limit_watts == limit


def test_a_counter_that_fails_at_the_start_is_a_counter_all_the_same(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu(), Gpu({"counter": 0})])
    machine.script.fault("counter_error", 0, 1001)
    machine.script.save()
    source = NvmlSource(machine.clock)
    assert [device.source for device in source.devices] == ["nvml_counter", "nvml_power"]
    failed = source.read(source.devices[0])
    assert (failed.energy_joules, failed.watts, failed.failed) == (None, 60.0, "nvml_unknown_error")
    machine.clock.move_to(1002.0)
    assert source.read(source.devices[0]).energy_joules == pytest.approx(102 * 60, rel=0.01)


def test_a_counter_that_is_refused_is_a_counter_all_the_same_and_told_once(
    nvml_library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu(), Gpu()])
    machine.script.error(ENERGY, NO_PERMISSION, 0, 1001)
    machine.script.error(ENERGY, NO_PERMISSION, 1002, 1003)
    machine.script.save()
    source = NvmlSource(machine.clock)
    device, other = source.devices
    assert (device.source, device.fallback) == ("nvml_counter", "nvml_power")
    told = []
    for at in (1000.0, 1000.5, 1001.0, 1002.0, 1002.5):
        machine.clock.move_to(at)
        reading, unconcerned = source.read(device), source.read(other)
        assert (reading.energy_joules is None, reading.watts) == (at != 1001.0, 60.0)
        assert reading.failed == ("" if at == 1001.0 else "nvml_insufficient_permissions")
        assert (unconcerned.energy_joules is None, unconcerned.failed) == (False, "")
        told.append(caplog.text.count("device=gpu0 event=counter_refused"))
    assert told == [1, 1, 1, 2, 2]
    assert "device=gpu1" not in caplog.text


def test_a_field_of_power_that_is_refused_leaves_the_call(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"arch": 5})])
    machine.script.error("nvmlDeviceGetFieldValues", NO_PERMISSION, 0)
    machine.script.save()
    source = NvmlSource(machine.clock)
    (device,) = source.devices
    assert (device.source, device.gauge, source.read(device).watts) == ("nvml_counter", nvml.INSTANT_CALL, 60.0)


def test_a_gauge_that_fails_at_the_start_is_not_taken_for_another(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"average": 1})])
    machine.script.fault("power_error", 0, 1001)
    machine.script.save()
    source = NvmlSource(machine.clock)
    (device,) = source.devices
    assert source.read(device).watts is None
    machine.clock.move_to(1002.0)
    machine.script.power(1002.0, Constant(400.0))
    machine.script.save()
    machine.clock.move_to(1002.2)
    assert source.read(device).watts == 400.0


def test_a_gpu_that_is_lost_at_the_start_is_taken_up_later_without_disturbing_the_rest(
    nvml_library: Path, tmp_path: Path
) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu(), Gpu()])
    machine.script.fault("lost", 0, 1005, gpu=0)
    machine.script.save()
    source = NvmlSource(machine.clock)
    assert [device.name for device in source.devices] == ["gpu1"]
    source.recover(frozenset())
    assert len(source.devices) == 1
    machine.clock.move_to(1006.0)
    source.recover(frozenset())
    assert [device.name for device in source.devices] == ["gpu1", "gpu0"]


def test_a_gpu_that_dies_while_it_is_described_is_left_for_later(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu(), Gpu()])
    machine.script.error(ENERGY, LOST, 0, 1005, gpu=1)
    machine.script.save()
    source = NvmlSource(machine.clock)
    assert [device.name for device in source.devices] == ["gpu0"]
    machine.clock.move_to(1006.0)
    source.recover(frozenset())
    assert [(device.name, device.source) for device in source.devices][1] == ("gpu1", "nvml_counter")


def test_a_changed_index_changes_no_name_and_no_two_gpus_share_one(nvml_library: Path, tmp_path: Path) -> None:
    gpus = [Gpu({"uuid": "GPU-a", "hidden": 1}), Gpu({"uuid": "GPU-b"})]
    machine = Machine(nvml_library, tmp_path, gpus)
    source = NvmlSource(machine.clock)
    assert {device.key: device.name for device in source.devices} == {"GPU-b": "gpu0"}
    gpus[0].properties["hidden"] = 0
    machine.script.fault("driver", 1001, 1002)
    machine.script.save()
    machine.clock.move_to(1003.0)
    with pytest.raises(ReadFailed):
        source.read(source.devices[0])
    source.recover(frozenset({"GPU-b"}))
    assert {device.key: device.name for device in source.devices} == {"GPU-b": "gpu0", "GPU-a": "gpu1"}
    assert all(source.read(device).watts == 60.0 for device in source.devices)


def test_another_load_of_the_driver_is_another_epoch(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu()])
    module = tmp_path / "module"
    epochs = []
    for load in (tmp_path / "first", tmp_path / "first", tmp_path / "second"):
        load.mkdir(exist_ok=True)
        module.unlink(missing_ok=True)
        module.symlink_to(load)
        epochs.append(NvmlSource(machine.clock, module=module).devices[0].epoch)
    assert epochs[0] == epochs[1] != epochs[2]
    machine.clock.boot_id = "boot-2"
    assert NvmlSource(machine.clock, module=module).devices[0].epoch != epochs[2]


def test_a_board_with_mig_on_is_one_device(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"mig": 1, "counter": 1}), Gpu({"mig": -1})])
    source = NvmlSource(machine.clock)
    assert [(device.name, device.mig) for device in source.devices] == [("gpu0", True), ("gpu1", False)]
    vitals = source.vitals(source.devices[0])
    assert vitals is not None
    assert (vitals.utilization_ratio, vitals.memory_used_bytes) == (None, 40.0)


def test_no_gpu_to_be_seen_says_where_to_look(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"hidden": 1})])
    with pytest.raises(SourceUnavailable, match="device request"):
        NvmlSource(machine.clock)


@pytest.mark.parametrize(
    ("code", "words"), [(LOST, "--gpu-reset"), (NO_PERMISSION, "rights of /dev/nvidia"), (UNKNOWN, "nvidia-smi")]
)
def test_gpus_that_cannot_be_used_say_what_to_do(
    nvml_library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int, words: str
) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu()])
    machine.script.error("nvmlDeviceGetHandleByIndex_v2", code, 0)
    machine.script.save()
    with pytest.raises(SourceUnavailable, match=words):
        NvmlSource(machine.clock)
    assert words in caplog.text


def test_each_question_can_be_asked_alone(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"tick": 0}), Gpu({"instant": 0})])
    source = NvmlSource(machine.clock)
    first, second = source.devices
    answers = {name: ask() for name, ask in source.calls(first).items()}
    assert answers == {"counter": pytest.approx(6000.0), "power_field": 60.0, "power_call": 60.0}
    assert set(source.calls(second)) == {"counter", "power_call"}
    machine.script.fault("lost", 1000, 1001)
    machine.script.save()
    with pytest.raises(ReadFailed) as failed:
        source.calls(first)["counter"]()
    assert failed.value.reason == "nvml_gpu_is_lost"


@pytest.mark.parametrize(("library", "reason"), [(None, "nvml_uninitialized"), (object(), "nvml_function_not_found")])
def test_a_gauge_of_a_library_that_is_not_open_or_has_no_such_call_fails_as_pynvml_does(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: object, reason: str
) -> None:
    source = NvmlSource(Machine(nvml_library, tmp_path, [Gpu()]).clock)
    (device,) = source.devices
    read = source.calls(device)["power_field"]
    assert read() == source.read(device).watts
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    with pytest.raises(ReadFailed) as failed:
        read()
    assert failed.value.reason == reason
