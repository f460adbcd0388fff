"""Reads counter and power of every GPU ten times a second and does nothing with them: what the calls alone cost.

    python -m benchmarks.bare_calls SECONDS

Prints the part of one core that it used.
"""

from __future__ import annotations

import sys
import time

import pynvml

_INTERVAL_SECONDS = 0.1


def main() -> None:
    print(read_all(float(sys.argv[1])))


def read_all(seconds: float) -> float:
    """Read for so many seconds; returns the part of one core that this process used meanwhile."""
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    began, used = time.monotonic(), time.process_time()
    due = began
    while time.monotonic() - began < seconds:
        for handle in handles:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            pynvml.nvmlDeviceGetFieldValues(handle, [(pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_POWER_SCOPE_GPU)])
        due += _INTERVAL_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
    return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    main()
