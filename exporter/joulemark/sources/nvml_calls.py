"""What an NVML error means: absent for good, failed for now, or to be mended by the user."""

from __future__ import annotations

from typing import Any

import pynvml

# How a GPU or driver says that it has no such thing, and will have none.
_ABSENT = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_DEPRECATED,
)
# How it says that the whole GPU does not answer.
_LOST = (
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
)


# The reason of what this user may not do.
REFUSED = "nvml_insufficient_permissions"


def optional(call: Any, *args: Any, default: Any = None) -> Any:
    """The call's answer, or `default` where there is none to be had now."""
    try:
        return call(*args)
    except pynvml.NVMLError:
        return default


def has_none(call: Any, *args: Any, refused_is_none: bool = True) -> bool:
    """Whether a GPU has no such thing at all; one that only fails has it. Raises NVMLError for a GPU that is lost.

    What this user is refused is absent where there is something else to take, and may be permitted later.
    """
    try:
        call(*args)
    except pynvml.NVMLError as error:
        if error.value in _LOST:
            raise
        if error.value == pynvml.NVML_ERROR_NO_PERMISSION:
            return refused_is_none
        return error.value in _ABSENT
    return False


def reason(error: pynvml.NVMLError) -> str:
    """A short label value."""
    if error.value == pynvml.NVML_ERROR_NO_PERMISSION:
        return REFUSED
    return "nvml_" + str(error).lower().replace(" ", "_")[:48]


def remedy(error: pynvml.NVMLError) -> str:
    """What the user can do about an NVML that does not start, or a GPU that it does not give."""
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return "libnvidia-ml.so.1 is not installed: install the NVIDIA driver, or pass it into the container"
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "The library is here but the kernel module is not loaded: run 'modprobe nvidia' or reboot"
    if error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return "The driver was updated but the old kernel module is still loaded: reload it or reboot"
    if error.value == pynvml.NVML_ERROR_NO_PERMISSION:
        return (
            "This user may not use it: see the rights of /dev/nvidia*, and in a container whether it was given the GPU"
        )
    if error.value in _LOST:
        return "Look for Xid errors in dmesg, try 'nvidia-smi --gpu-reset' or a reboot"
    return "Check that 'nvidia-smi' works for this user"
