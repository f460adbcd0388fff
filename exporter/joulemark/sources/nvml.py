"""NVIDIA GPUs through NVML: the energy counter first, the power gauge beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pynvml

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals

log = logging.getLogger(__name__)

COUNTER = "nvml_counter"
POWER = "nvml_power"
# The power gauges, as Device.gauge names them; the call is an average over a second on some GPUs and not on others.
INSTANT_FIELD, MODULE_FIELD, INSTANT_CALL, AVERAGED_CALL = (
    "instant_field", "module_field", "instant_call", "averaged_call",
)  # fmt: skip
_DEFAULT_LIMIT_WATTS = 2000.0
# Board power may pass its limit for moments; half as much more is still physics.
_LIMIT_HEADROOM = 1.5
# From Ampere on nvmlDeviceGetPowerUsage averages over a second, but on GA100 it does not (NVML's documentation).
_AVERAGING_SECONDS = 1.0
_GA100 = ("A100", "A30", "A800", "PG506")

_THROTTLE_REASONS = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}


class NvmlSource:
    """All GPUs of this machine; `use_counter=False` integrates power even where a counter exists.

    A GPU that was seen once stays a device; while it is lost its readings fail.
    """

    def __init__(self, clock: Clock, *, use_counter: bool = True) -> None:
        self._clock = clock
        self._use_counter = use_counter
        self._handles: dict[str, Any] = {}
        self._devices: dict[str, Device] = {}
        self._gauges: dict[str, int | None] = {}
        self._lock = threading.Lock()
        self._open_library()
        if not self._devices:
            pynvml.nvmlShutdown()
            raise SourceUnavailable("NVML works but shows no GPU: check the container's device request")

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def read(self, device: Device, *, power: bool = True) -> Reading:
        handle = self._handles.get(device.key)
        if handle is None:
            raise ReadFailed("gpu_is_lost", f"NVML does not show {device.key} any more")
        energy, failed = None, ""
        called = self._clock.steady()
        if device.source == COUNTER:
            try:
                energy = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            except pynvml.NVMLError as error:
                failed = _reason(error)
        answered = self._clock.steady()
        if not power and energy is not None:
            return Reading(answered, energy, None, called=called, answered=answered)
        try:
            watts = _gauge_watts(handle, self._gauges[device.key])
        except pynvml.NVMLError as error:
            if energy is None:
                raise ReadFailed(failed or _reason(error), f"{device.key}: {error}") from error
            # A counter without a power reading beside it is still a whole reading.
            return Reading(answered, energy, None, called=called, answered=answered, failed=_reason(error))
        at = (answered + self._clock.steady()) / 2
        return Reading(at, energy, watts, sensor=True, called=called, answered=answered, failed=failed)

    def calls(self, device: Device) -> dict[str, Callable[[], float]]:
        """What a reading of a device may ask, by name, each question alone: joules or watts, or ReadFailed."""
        handle, scope = self._handles[device.key], self._gauges[device.key]
        questions: dict[str, Callable[[], float]] = {
            "counter": lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
            "power_field": lambda: _gauge_watts(handle, scope),
            "power_call": lambda: _gauge_watts(handle, None),
        }
        if scope is None:
            del questions["power_field"]
        return {name: _asking(question, device) for name, question in questions.items()}

    def vitals(self, device: Device) -> Vitals | None:
        handle = self._handles.get(device.key)
        if handle is None:
            return None
        reasons = _optional(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        use = _optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
        memory = _optional(pynvml.nvmlDeviceGetMemoryInfo, handle)
        clock = _optional(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
        celsius = _optional(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
        limit = _optional(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return Vitals(
            utilization_ratio=None if use is None else use.gpu / 100,
            memory_used_bytes=None if memory is None else float(memory.used),
            temperature_celsius=None if celsius is None else float(celsius),
            sm_clock_hertz=None if clock is None else clock * 1e6,
            power_limit_watts=None if limit is None else limit / 1e3,
            throttle_reasons={}
            if reasons is None
            else {name: bool(reasons & bit) for name, bit in _THROTTLE_REASONS.items()},
        )

    def recover(self, failing: frozenset[str]) -> None:
        """Take lost GPUs' handles anew; when no GPU answers at all, load the library's state anew."""
        with self._lock:
            if failing and failing >= set(self._devices):
                while _optional(pynvml.nvmlShutdown, default=True) is None:
                    pass  # The library counts its users: the driver is let go with the last one.
                try:
                    self._open_library()
                except SourceUnavailable as why:
                    log.debug("source=nvml recovered=false reason=%s", why)
            elif failing:
                self._find_gpus()

    def close(self) -> None:
        _optional(pynvml.nvmlShutdown)

    def _open_library(self) -> None:
        try:
            pynvml.nvmlInit()
            self._find_gpus()
        except pynvml.NVMLError as error:
            raise SourceUnavailable(f"NVML: {error}. {_remedy(error)}") from error

    def _find_gpus(self) -> None:
        """Take the handle of every GPU that answers; those that do not are left for later."""
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                key = _text(pynvml.nvmlDeviceGetUUID(handle))
                if key not in self._devices:
                    self._devices[key] = self._describe(index, key, handle)
                self._handles[key] = handle
            except pynvml.NVMLError as error:
                log.warning("gpu_index=%d not usable now: %s", index, error)

    def _describe(self, index: int, key: str, handle: Any) -> Device:
        limit = _optional(pynvml.nvmlDeviceGetPowerManagementLimit, handle)
        counted = self._use_counter and _optional(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None
        model = _text(pynvml.nvmlDeviceGetName(handle))
        scope = self._gauges[key] = _scope(handle)
        mig = _optional(pynvml.nvmlDeviceGetMigMode, handle)
        averaged = scope is None and _averages(handle, model)
        return Device(
            name=f"gpu{index}",
            key=key,
            source=COUNTER if counted else POWER,
            model=f"{model} (whole module, CPU included)" if scope == pynvml.NVML_POWER_SCOPE_MODULE else model,
            driver=_text(pynvml.nvmlSystemGetDriverVersion()),
            epoch=self._clock.boot(),
            power_limit_watts=limit / 1e3 * _LIMIT_HEADROOM if limit else _DEFAULT_LIMIT_WATTS,
            averaging_seconds=_AVERAGING_SECONDS if averaged else 0.0,
            fallback=POWER,
            gauge=_gauge_name(scope, averaged),
            mig=bool(mig and mig[0]),
        )


def _scope(handle: Any) -> int | None:
    """The scope of the instantaneous power field that fits the counter; None where there is no such field.

    On Grace Hopper the counter and one scope of the field cover the whole module, CPU included. Counter and gauge
    must mean the same thing, so where a module scope exists it is taken.
    """
    for scope in (pynvml.NVML_POWER_SCOPE_MODULE, pynvml.NVML_POWER_SCOPE_GPU):
        if _optional(_gauge_watts, handle, scope) is not None:
            return int(scope)
    return None


def _gauge_watts(handle: Any, scope: int | None) -> float:
    """Power in watts: the instantaneous field in a scope, or the call that may average."""
    if scope is None:
        return float(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1e3
    value = pynvml.nvmlDeviceGetFieldValues(handle, [(pynvml.NVML_FI_DEV_POWER_INSTANT, scope)])[0]
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(value.nvmlReturn)
    return float(value.value.uiVal) / 1e3


def _averages(handle: Any, model: str) -> bool:
    """Whether nvmlDeviceGetPowerUsage of this GPU is an average over a second."""
    architecture = _optional(pynvml.nvmlDeviceGetArchitecture, handle)
    if architecture is None or architecture < pynvml.NVML_DEVICE_ARCH_AMPERE:
        return False
    return not any(name in model for name in _GA100)


def _gauge_name(scope: int | None, averaged: bool) -> str:
    if scope is None:
        return AVERAGED_CALL if averaged else INSTANT_CALL
    return MODULE_FIELD if scope == pynvml.NVML_POWER_SCOPE_MODULE else INSTANT_FIELD


def _asking(question: Callable[[], float], device: Device) -> Callable[[], float]:
    def ask() -> float:
        try:
            return question()
        except pynvml.NVMLError as error:
            raise ReadFailed(_reason(error), f"{device.key}: {error}") from error

    return ask


def _optional(call: Any, *args: Any, default: Any = None) -> Any:
    """The call's answer, or `default` where this GPU or driver has none to give."""
    try:
        return call(*args)
    except pynvml.NVMLError:
        return default


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
