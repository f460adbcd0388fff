"""Which power gauge of a GPU is read: an instantaneous field where there is one, else the call that may average.

On Grace Hopper the energy counter and one scope of the field cover the whole module, CPU included. Counter and gauge
must mean the same thing, so where a module scope exists it is taken.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any

import pynvml

from .nvml_calls import has_none, optional

# From Ampere on nvmlDeviceGetPowerUsage averages over a second, but on GA100 it does not (NVML's documentation).
AVERAGING_SECONDS = 1.0
# Its name, as Device.gauge has it: the call is an average over a second on some GPUs and not on others.
INSTANT_FIELD, MODULE_FIELD, INSTANT_CALL, AVERAGED_CALL = (
    "instant_field", "module_field", "instant_call", "averaged_call",
)  # fmt: skip
_DEFAULT_LIMIT_WATTS = 2000.0
# Board power may pass its limit for moments; half as much more is still physics.
_LIMIT_HEADROOM = 1.5
_GA100 = re.compile(r"\b(A100X?|A30X?|A800|PG506)\b")


@dataclass(frozen=True)
class Gauge:
    """One gauge of one GPU: the instantaneous field in a `scope`, or with None nvmlDeviceGetPowerUsage."""

    scope: int | None
    averaging_seconds: float = 0.0

    @property
    def of_module(self) -> bool:
        """Whether it measures the whole module and not the GPU alone."""
        return self.scope is not None and self.scope == int(pynvml.NVML_POWER_SCOPE_MODULE)

    @property
    def name(self) -> str:
        """Which gauge it is."""
        if self.scope is None:
            return AVERAGED_CALL if self.averaging_seconds else INSTANT_CALL
        return MODULE_FIELD if self.of_module else INSTANT_FIELD

    def watts(self, handle: Any) -> float:
        """Power in watts; raises NVMLError."""
        if self.scope is None:
            return float(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1e3
        value = _field_value(handle, pynvml.NVML_FI_DEV_POWER_INSTANT, self.scope)
        if value.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal) / 1e3


class _FieldValue(ctypes.Structure):
    """NVML's own, without what makes pynvml's print itself: that costs more than the call, and it is made often."""

    _fields_ = pynvml.c_nvmlFieldValue_t._fields_


def _field_value(handle: Any, field: int, scope: int) -> Any:
    """One field of a GPU in a scope; raises NVMLError where none can be asked for."""
    try:
        call = pynvml.nvmlLib.nvmlDeviceGetFieldValues
    except AttributeError:
        # The library is not open, or has no such call: pynvml says which.
        return pynvml.nvmlDeviceGetFieldValues(handle, [(field, scope)])[0]
    value = _FieldValue(field, scope)
    status = call(handle, 1, ctypes.byref(value))
    if status != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(status)
    return value


def find_gauge(handle: Any, model: str) -> Gauge:
    """The gauge that fits the energy counter of a GPU; raises NVMLError for one that is lost."""
    module, gpu = Gauge(pynvml.NVML_POWER_SCOPE_MODULE), Gauge(pynvml.NVML_POWER_SCOPE_GPU)
    # A module that draws nothing is none.
    if not has_none(module.watts, handle) and optional(module.watts, handle):
        return module
    if not has_none(gpu.watts, handle):
        return gpu
    return Gauge(None, AVERAGING_SECONDS if _averages(handle, model) else 0.0)


def limit_watts(handle: Any) -> float:
    """What no reading can exceed; the highest limit that may be set counts, as it can be set at any time."""
    limits = optional(pynvml.nvmlDeviceGetPowerManagementLimitConstraints, handle) or (0, 0)
    limit = max(limits[1], optional(pynvml.nvmlDeviceGetPowerManagementLimit, handle, default=0))
    return limit / 1e3 * _LIMIT_HEADROOM if limit else _DEFAULT_LIMIT_WATTS


def _averages(handle: Any, model: str) -> bool:
    """Whether nvmlDeviceGetPowerUsage of this GPU is an average over a second."""
    architecture = optional(pynvml.nvmlDeviceGetArchitecture, handle)
    if architecture is None or architecture < pynvml.NVML_DEVICE_ARCH_AMPERE:
        return False
    return not _GA100.search(model)
