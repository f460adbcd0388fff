"""The state of a GPU beside its power, as NVML tells it."""

from __future__ import annotations

from typing import Any

import pynvml

from .base import Vitals
from .nvml_calls import optional

_THROTTLE_REASONS = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}


def vitals_of(handle: Any) -> Vitals:
    """What the driver tells of a GPU now; what it does not is None."""
    reasons = optional(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    use = optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
    memory = optional(pynvml.nvmlDeviceGetMemoryInfo, handle)
    clock = optional(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
    celsius = optional(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    limit = optional(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
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
