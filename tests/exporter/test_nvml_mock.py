"""The instrument of the other tests held against its Python twin: what it shows is the exact integral of its script."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pynvml
import pytest
from nvml_mock import Constant, Gpu, Machine, Noise, Ramp, Shape, Square

START = 1000.0
SHAPES: dict[str, Shape] = {
    "constant": Constant(312.5),
    "square": Square(90.0, 640.0, 2.7, 0.3),
    "ramp": Ramp(80.0, 600.0, 3.0),
    "noise": Noise(350.0, 200.0, 11),
}
LOST, UNINITIALIZED, NOT_SUPPORTED, UNKNOWN = 15, 1, 3, 999


def first_gpu() -> object:
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def counter(handle: object) -> float:
    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3


def field(handle: object, number: int, scope: int = 0) -> float:
    (value,) = pynvml.nvmlDeviceGetFieldValues(handle, [(number, scope)])
    if value.nvmlReturn:
        raise pynvml.NVMLError(value.nvmlReturn)
    return float(value.value.uiVal) / 1e3


def code_of(call: object, *args: object) -> int:
    with pytest.raises(pynvml.NVMLError) as failed:
        call(*args)  # type: ignore[operator]
    return int(failed.value.value)


@pytest.mark.parametrize("name", SHAPES)
def test_the_counter_is_the_exact_integral_and_the_gauge_the_power(
    nvml_library: Path, tmp_path: Path, name: str
) -> None:
    gpu = Gpu({"tick": 0, "power_tick": 0})
    machine = Machine(nvml_library, tmp_path, [gpu], start=START)
    machine.script.power(START + 0.5, SHAPES[name])
    machine.script.power(START + 6.0, Constant(75.0))
    machine.script.save()
    handle = first_gpu()
    before = counter(handle)
    for step in range(1, 200):
        machine.clock.move_to(START + 0.037 * step)
        now = machine.clock.steady()
        assert counter(handle) - before == pytest.approx(gpu.joules(START, now), abs=0.0015)
        assert field(handle, pynvml.NVML_FI_DEV_POWER_INSTANT) == pytest.approx(gpu.watts(now), abs=0.001)


@pytest.mark.parametrize(("tick", "jitter"), [(0.02, 0.0), (0.1, 0.0), (0.05, 0.4), (0.1, 0.8)])
def test_between_ticks_the_counter_stands_still_and_a_tick_shows_the_energy_of_its_own_instant(
    nvml_library: Path, tmp_path: Path, tick: float, jitter: float
) -> None:
    gpu = Gpu({"tick": tick, "jitter": jitter})
    machine = Machine(nvml_library, tmp_path, [gpu], start=START)
    handle = first_gpu()
    shown, moved = counter(handle), list[float]()
    for step in range(1, 5000):
        at = START + 0.0005 * step
        machine.clock.move_to(at)
        now = counter(handle)
        if now != shown:
            # Constant power since 100 s before the start: energy tells of which instant it is.
            ticked = START - 100.0 + now / 60.0
            assert at - 0.0005 - 2e-5 <= ticked <= at + 2e-5
            moved.append(ticked)
            shown = now
    gaps = [b - a for a, b in itertools.pairwise(moved)]
    assert sum(gaps) / len(gaps) == pytest.approx(tick, rel=0.02)
    spread = max(gaps) - min(gaps)
    assert spread <= 5e-5 if not jitter else 0.5 * jitter * tick < spread <= 2 * jitter * tick


def test_the_averaged_call_trails_by_a_second_and_the_instantaneous_field_does_not(
    nvml_library: Path, tmp_path: Path
) -> None:
    gpu = Gpu({"average": 1.0, "power_tick": 0.02})
    machine = Machine(nvml_library, tmp_path, [gpu], start=START)
    machine.script.power(START + 2.0, Constant(600.0))
    machine.script.save()
    handle = first_gpu()
    machine.clock.move_to(START + 2.4)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3 == pytest.approx(60 + 0.4 * 540, abs=0.02 * 540)
    assert field(handle, pynvml.NVML_FI_DEV_POWER_AVERAGE) == pytest.approx(60 + 0.4 * 540, abs=0.02 * 540)
    assert field(handle, pynvml.NVML_FI_DEV_POWER_INSTANT) == 600.0
    machine.clock.move_to(START + 3.1)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3 == 600.0


def test_a_module_draws_more_than_its_gpu(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"module": 150, "tick": 0, "gain": 1.1}), Gpu()], start=START)
    handle = first_gpu()
    before = counter(handle)
    machine.clock.move_to(START + 10)
    assert counter(handle) - before == pytest.approx(10 * (60 + 150), abs=0.002)
    assert field(handle, pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_POWER_SCOPE_MODULE) == pytest.approx(66 + 150)
    assert field(handle, pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_POWER_SCOPE_GPU) == pytest.approx(66)
    other = pynvml.nvmlDeviceGetHandleByIndex(1)
    assert code_of(field, other, pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_POWER_SCOPE_MODULE) == NOT_SUPPORTED


def test_latency_lies_before_and_after_the_value(nvml_library: Path, tmp_path: Path) -> None:
    gpu = Gpu({"latency": 0.05, "latency_before": 0.25, "tick": 0})
    machine = Machine(nvml_library, tmp_path, [gpu], start=START)
    handle = first_gpu()
    before = machine.clock.steady()
    first = counter(handle)
    assert machine.clock.steady() - before == pytest.approx(0.05)
    assert first / 60.0 == pytest.approx(before + 0.0125 - (START - 100), abs=1e-4)


def test_faults_begin_and_end_when_the_script_says(nvml_library: Path, tmp_path: Path) -> None:
    gpu = Gpu({"tick": 0})
    machine = Machine(nvml_library, tmp_path, [gpu, Gpu()], start=START)
    script = machine.script
    script.fault("lost", START + 1, START + 2)
    script.fault("counter_error", START + 3, START + 4)
    script.fault("power_error", START + 5, START + 6)
    script.fault("frozen", START + 7, START + 8)
    script.error("nvmlDeviceGetTemperature", LOST, START + 9, START + 10)
    script.fault("hang", START + 11, START + 12.5)
    script.reset(START + 13)
    script.save()
    handle = first_gpu()

    def at(seconds: float) -> float:
        machine.clock.move_to(START + seconds)
        return counter(handle)

    whole = at(0.5)
    machine.clock.move_to(START + 1)
    assert code_of(counter, handle) == LOST
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 0) == LOST
    pynvml.nvmlDeviceGetHandleByIndex(1)
    assert at(2) == pytest.approx(whole + 1.5 * 60, abs=0.002)
    machine.clock.move_to(START + 3.5)
    assert code_of(counter, handle) == UNKNOWN
    pynvml.nvmlDeviceGetPowerUsage(handle)
    machine.clock.move_to(START + 5.5)
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == UNKNOWN
    assert code_of(field, handle, pynvml.NVML_FI_DEV_POWER_INSTANT) == UNKNOWN
    assert at(5.6) == pytest.approx(whole + 5.1 * 60, abs=0.002)
    assert at(7.2) == at(7.9) == pytest.approx(whole + 6.5 * 60, abs=0.002)
    assert at(8.5) == pytest.approx(whole + 8 * 60, abs=0.002)
    machine.clock.move_to(START + 9.5)
    assert code_of(pynvml.nvmlDeviceGetTemperature, handle, 0) == LOST
    assert at(9.6) > whole
    assert at(11.0) == pytest.approx(whole + 12 * 60, abs=0.002)
    assert machine.clock.steady() == START + 12.5
    assert at(15) == pytest.approx(2 * 60, abs=0.002)


def test_a_driver_reload_makes_handles_stale_and_counters_start_at_0(nvml_library: Path, tmp_path: Path) -> None:
    machine = Machine(nvml_library, tmp_path, [Gpu({"tick": 0}), Gpu({"tick": 0})], start=START)
    machine.script.fault("driver", START + 1, START + 2)
    machine.script.save()
    handle = first_gpu()
    machine.clock.move_to(START + 1)
    assert code_of(counter, handle) == UNKNOWN
    machine.clock.move_to(START + 3)
    assert code_of(counter, handle) == UNINITIALIZED
    pynvml.nvmlShutdown()
    assert counter(first_gpu()) == pytest.approx(60, abs=0.002)
    assert counter(pynvml.nvmlDeviceGetHandleByIndex(1)) == pytest.approx(60, abs=0.002)


def test_what_a_container_may_not_see_is_not_there_and_shifts_the_rest(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = [Gpu({"uuid": f"GPU-{letter}", "hidden": int(letter == "b")}) for letter in "abcd"]
    Machine(nvml_library, tmp_path, gpus)

    def seen() -> list[str]:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]

    assert seen() == ["GPU-a", "GPU-c", "GPU-d"]
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-d,0")
    assert seen() == ["GPU-a", "GPU-d"]
    assert code_of(pynvml.nvmlDeviceGetHandleByUUID, "GPU-c") == pynvml.NVML_ERROR_NOT_FOUND


def test_with_mig_on_the_board_has_energy_and_no_utilisation(nvml_library: Path, tmp_path: Path) -> None:
    Machine(nvml_library, tmp_path, [Gpu({"mig": 1, "name": "NVIDIA A100-SXM4-80GB"})])
    handle = first_gpu()
    assert pynvml.nvmlDeviceGetMigMode(handle) == [1, 1]
    assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA A100-SXM4-80GB"
    assert math.isfinite(counter(handle))
    assert code_of(pynvml.nvmlDeviceGetUtilizationRates, handle) == NOT_SUPPORTED


def test_calls_are_written_down_once_each(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_NVML_CALLS", str(tmp_path / "calls"))
    Machine(nvml_library, tmp_path, [Gpu()])
    handle = first_gpu()
    for _ in range(3):
        pynvml.nvmlDeviceGetMemoryInfo(handle)
    assert (tmp_path / "calls").read_text().split().count("nvmlDeviceGetMemoryInfo") == 1
