"""Whether the GPUs are free to be measured: somebody else's work or a throttled clock spoils every figure."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pynvml

_VISIBLE = "CUDA_VISIBLE_DEVICES"
# Reasons that slow the card for lack of cooling or power; a plain power cap is normal work.
_THROTTLES = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


def complaints(busy_utilization: float, seconds: float, interval: float = 0.25) -> list[str]:
    """What stands against measuring on the visible GPUs, watched for so long; empty where there is no GPU."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        try:
            handles = list(_visible())
        except pynvml.NVMLError as error:
            return [f"a GPU does not answer ({error})"]
        used: dict[str, list[int]] = {name: [] for name, _ in handles}
        found: dict[str, None] = {}
        for _ in range(max(1, round(seconds / interval))):
            for name, handle in handles:
                used[name].append(_or_none(lambda h=handle: pynvml.nvmlDeviceGetUtilizationRates(h).gpu) or 0)
                found.update(dict.fromkeys(_states(name, handle)))
            time.sleep(interval)
        busy = {name: sum(values) / len(values) / 100 for name, values in used.items()}
        return [
            *(f"{name} is {share:.0%} busy" for name, share in busy.items() if share > busy_utilization),
            *found,
        ]
    finally:
        pynvml.nvmlShutdown()


def driver() -> dict[str, Any]:
    """GPU names and driver version; empty where there is no GPU, or one does not answer: no run fails for that."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        names = [str(pynvml.nvmlDeviceGetName(handle)) for _, handle in _visible()]
        return {"gpus": names, "driver": str(pynvml.nvmlSystemGetDriverVersion())}
    except pynvml.NVMLError:
        return {}
    finally:
        pynvml.nvmlShutdown()


def _states(name: str, handle: Any) -> Iterator[str]:
    # By its version: the plain name raises no NVMLError where the driver is too old for it.
    others = [p.pid for p in _or_none(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)) or ()]
    for pid in others:
        if pid != os.getpid():
            yield f"{name} is used by process {pid}"
    bits = _or_none(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
    for bit, reason in _THROTTLES.items():
        if bits & bit:
            yield f"{name} is throttled ({reason})"


def _visible() -> Iterator[tuple[str, Any]]:
    """Name and handle of each GPU that this process may use."""
    shown = os.environ.get(_VISIBLE)
    wanted = None if shown is None else [part.strip() for part in shown.split(",") if part.strip()]
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = str(pynvml.nvmlDeviceGetUUID(handle))
        if (
            wanted is None
            or str(index) in wanted
            or any(part.startswith("GPU-") and uuid.startswith(part) for part in wanted)
        ):
            yield f"gpu{index}", handle


def _or_none(read: Any) -> Any:
    """A reading, or None where this card or this container does not give it."""
    try:
        return read()
    except pynvml.NVMLError:
        return None
