"""What a result was made with: versions, hardware, state of the source."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .. import ranks
from .gpu_guard import driver

_PACKAGES = (
    "joulemark", "torch", "transformers", "datasets", "accelerate", "peft", "lm-eval", "vllm", "numpy", "pyarrow",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Facts for the record of a phase."""
    return {
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "processes": ranks.world_size(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        **driver(),
        "git": _git(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> dict[str, Any]:
    """Model name and hardware threads."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"model": names[0] if names else platform.processor(), "threads": os.cpu_count()}


def _git() -> dict[str, Any] | None:
    """Commit of the source and whether it was changed since; None where it is no checkout."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
