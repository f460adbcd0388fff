"""Stands in for PyTorch with CUDA: one GPU whose products take a moment; says in a file which process used it."""

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
    is_available=lambda: True,
    device_count=lambda: 1,
    synchronize=lambda index: time.sleep(0.01),
    get_device_properties=lambda index: SimpleNamespace(uuid="00000000-0000-0000-0000-000000000000"),
)
