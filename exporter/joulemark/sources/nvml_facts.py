"""What NVML tells beside readings: versions, and the state in which a GPU is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pynvml


@dataclass(frozen=True)
class NvmlVersions:
    """Versions of driver, library, CUDA as the driver offers it, and nvidia-ml-py; None where they are not told."""

    driver: str | None
    library: str | None
    cuda: str | None
    binding: str | None


@dataclass(frozen=True)
class NvmlState:
    """Compute processes on a GPU, and whether the driver keeps it when nobody uses it; None where it is not told."""

    compute_processes: int | None
    persistence: bool | None


def nvml_versions() -> NvmlVersions:
    """The versions; all but nvidia-ml-py's are None where NVML cannot be started."""
    try:
        binding: str | None = version("nvidia-ml-py")
    except PackageNotFoundError:
        binding = None
    if _told(pynvml.nvmlInit, default=False) is False:
        return NvmlVersions(None, None, None, binding)
    cuda = _told(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    try:
        return NvmlVersions(
            driver=_text(_told(pynvml.nvmlSystemGetDriverVersion)),
            library=_text(_told(pynvml.nvmlSystemGetNVMLVersion)),
            cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
            binding=binding,
        )
    finally:
        pynvml.nvmlShutdown()


def nvml_state(uuid: str) -> NvmlState:
    """The state of the GPU of this UUID; NVML must be in use already."""
    handle = next((h for h in _handles() if _text(_told(pynvml.nvmlDeviceGetUUID, h)) == uuid), None)
    if handle is None:
        return NvmlState(None, None)
    # Drivers know this call by the version that was new when they were.
    processes = _told(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
    if processes is None:
        processes = _told(pynvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
    persistence = _told(pynvml.nvmlDeviceGetPersistenceMode, handle)
    return NvmlState(
        compute_processes=None if processes is None else len(processes),
        persistence=None if persistence is None else bool(persistence),
    )


def _handles() -> list[Any]:
    found = (_told(pynvml.nvmlDeviceGetHandleByIndex, i) for i in range(_told(pynvml.nvmlDeviceGetCount, default=0)))
    return [handle for handle in found if handle is not None]


def _told(call: Callable[..., Any], *args: Any, default: Any = None) -> Any:
    try:
        return call(*args)
    except pynvml.NVMLError:
        return default


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
