"""The benchmarks that need no hub."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

TASKS = Path(__file__).parents[1] / "tasks"


def shipped_tasks() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in TASKS.glob("*.yaml"))


def shipped_task(name: str) -> dict[str, Any]:
    """A task's own YAML, with its data file's place on this machine filled in."""
    task: dict[str, Any] = yaml.safe_load((TASKS / f"{name}.yaml").read_text())
    task["dataset_kwargs"] = {"data_files": {"test": str(TASKS / f"{name}.jsonl")}}
    return task


def task_identity(name: str) -> str:
    """What decides the items of a task: of a shipped one its content, of any other its name."""
    if name not in shipped_tasks():
        return name
    content = b"".join((TASKS / f"{name}{suffix}").read_bytes() for suffix in (".yaml", ".jsonl"))
    return f"{name}@{hashlib.sha256(content).hexdigest()[:12]}"
