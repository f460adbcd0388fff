"""Stands in for PyTorch: one GPU whose products take a moment; FAKE_TORCH_LOG tells who used it, without it no GPU."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

__version__ = "9.9+fake"
float16 = "float16"


def randn(*shape: int, device: str, dtype: str) -> str:
    with Path(os.environ["FAKE_TORCH_LOG"]).open("a") as log:
        log.write(f"{os.getpid()} {' '.join(sys.orig_argv)}\n")
    return device


def mm(a: str, b: str) -> None:
    assert a == b


cuda = SimpleNamespace(
    is_available=lambda: "FAKE_TORCH_LOG" in os.environ,
    device_count=lambda: 1,
    synchronize=lambda index: time.sleep(0.01),
    get_device_properties=lambda index: SimpleNamespace(uuid="00000000-0000-0000-0000-000000000000"),
)
