"""NVIDIA GPUs through NVML: the energy counter first, instantaneous power beside it."""

from __future__ import annotations

from typing import Any

import pynvml

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals

COUNTER = "nvml_counter"
POWER = "nvml_power"
_FI_POWER_INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
# The GPU alone; on Grace Hopper scope 1 would be the whole module, CPU included.
_SCOPE_GPU = 0
# The slowest refresh seen on real cards; nothing smaller may be assumed before the card has been measured.
_TICK_SECONDS = 0.1
_DEFAULT_LIMIT_WATTS = 2000.0
# Board power may pass its limit for moments; ten per cent more than that is still physics.
_LIMIT_HEADROOM = 1.5

_THROTTLE_REASONS = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}


class NvmlSource:
    """All GPUs of this machine; `use_counter=False` integrates power even where a counter exists."""

    def __init__(self, clock: Clock, *, use_counter: bool = True) -> None:
        self._clock = clock
        try:
            pynvml.nvmlInit()
            self._handles = _handles()
        except pynvml.NVMLError as error:
            raise SourceUnavailable(f"NVML: {error}. {_remedy(error)}") from error
        if not self._handles:
            raise SourceUnavailable("NVML works but shows no GPU: check the container's device request")
        self._instant: dict[str, bool] = {}
        self._devices = tuple(self._describe(index, use_counter) for index in sorted(self._handles))
        self._by_key = {device.key: self._handles[index] for index, device in enumerate(self._devices)}

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def read(self, device: Device) -> Reading:
        handle = self._by_key[device.key]
        try:
            energy = None
            if device.source == COUNTER:
                energy = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            now = self._clock.steady()
            watts = self._watts(device, handle)
            # A counter without a power reading beside it is still a whole reading.
            return Reading(now, energy, watts, sensor=watts is not None or device.source == POWER)
        except pynvml.NVMLError as error:
            raise ReadFailed(_reason(error), str(error)) from error

    def vitals(self, device: Device) -> Vitals | None:
        handle = self._by_key[device.key]
        reasons = _optional(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        use = _optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
        memory = _optional(pynvml.nvmlDeviceGetMemoryInfo, handle)
        clock = _optional(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
        celsius = _optional(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
        return Vitals(
            utilization_ratio=None if use is None else use.gpu / 100,
            memory_used_bytes=None if memory is None else float(memory.used),
            temperature_celsius=None if celsius is None else float(celsius),
            sm_clock_hertz=None if clock is None else clock * 1e6,
            throttle_reasons={}
            if reasons is None
            else {name: bool(reasons & bit) for name, bit in _THROTTLE_REASONS.items()},
        )

    def close(self) -> None:
        _optional(pynvml.nvmlShutdown)

    def _describe(self, index: int, use_counter: bool) -> Device:
        handle = self._handles[index]
        key = _text(pynvml.nvmlDeviceGetUUID(handle))
        limit = _optional(pynvml.nvmlDeviceGetPowerManagementLimit, handle)
        counted = use_counter and _optional(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None
        self._instant[key] = _instant_watts(handle) is not None
        return Device(
            name=f"gpu{index}",
            key=key,
            source=COUNTER if counted else POWER,
            model=_text(pynvml.nvmlDeviceGetName(handle)),
            driver=_text(pynvml.nvmlSystemGetDriverVersion()),
            epoch=self._clock.boot(),
            power_limit_watts=limit / 1e3 * _LIMIT_HEADROOM if limit else _DEFAULT_LIMIT_WATTS,
            tick_seconds=_TICK_SECONDS,
        )

    def _watts(self, device: Device, handle: Any) -> float | None:
        if self._instant[device.key]:
            return _instant_watts(handle)
        milliwatts = _optional(pynvml.nvmlDeviceGetPowerUsage, handle)
        if milliwatts is None and device.source == POWER:
            raise ReadFailed("power_not_readable", "nvmlDeviceGetPowerUsage failed")
        return None if milliwatts is None else milliwatts / 1e3


def _handles() -> dict[int, Any]:
    return {i: pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())}


def _instant_watts(handle: Any) -> float | None:
    """Instantaneous power of the GPU alone in watts, None where the driver has no such field."""
    fields = [(_FI_POWER_INSTANT, _SCOPE_GPU)]
    values = _optional(pynvml.nvmlDeviceGetFieldValues, handle, fields)
    if values is None or values[0].nvmlReturn != pynvml.NVML_SUCCESS:
        return None
    return float(values[0].value.uiVal) / 1e3


def _optional(call: Any, *args: Any) -> Any:
    """The call's answer, or None where this GPU or driver has none to give."""
    try:
        return call(*args)
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _reason(error: pynvml.NVMLError) -> str:
    return "nvml_" + str(error).lower().replace(" ", "_")[:48]


def _remedy(error: pynvml.NVMLError) -> str:
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return "libnvidia-ml.so.1 is not installed: install the NVIDIA driver, or pass it into the container"
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "The library is here but the kernel module is not loaded: run 'modprobe nvidia' or reboot"
    return "Check that 'nvidia-smi' works for this user"
