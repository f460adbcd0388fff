"""The processes that compute on each GPU, as NVML lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml

from ..sources.nvml_calls import optional


def processes_by_uuid() -> dict[str, list[int]]:
    """By the GPU's UUID the process ids, those with the most memory first; raises NVMLError without a driver."""
    pynvml.nvmlInit()
    try:
        handles = [optional(pynvml.nvmlDeviceGetHandleByIndex, i) for i in range(pynvml.nvmlDeviceGetCount())]
        return {_text(pynvml.nvmlDeviceGetUUID(handle)): _pids(handle) for handle in handles if handle is not None}
    finally:
        pynvml.nvmlShutdown()


def _pids(handle: Any) -> list[int]:
    # Drivers know these calls by the version that was new when they were. Clients of MPS have a list of their own.
    compute = _listed(handle, pynvml.nvmlDeviceGetComputeRunningProcesses_v3)
    if compute is None:
        compute = _listed(handle, pynvml.nvmlDeviceGetComputeRunningProcesses_v2)
    clients = _listed(handle, pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3)
    found = [*(compute or ()), *(clients or ())]
    found.sort(key=lambda process: process.usedGpuMemory or 0, reverse=True)
    return list(dict.fromkeys(int(process.pid) for process in found))


def _listed(handle: Any, call: Callable[[Any], list[Any]]) -> list[Any] | None:
    found: list[Any] | None = optional(call, handle)
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
