"""A run's folder and its record: merged configuration, environment, and what each phase found."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..config import Cell
from ..errors import WorkloadError
from ..teacher.artifact import differences_between
from .environment import environment

_FORMAT = 1


class Record:
    """`record.json` of one run; every change is on disk at once."""

    def __init__(self, folder: Path, run: str, cell: Cell) -> None:
        self.folder = folder
        self._path = folder / "record.json"
        self._data: dict[str, Any] = {
            "format": _FORMAT,
            "run": run,
            "pipeline": cell.pipeline,
            "axes": cell.axes,
            "config": cell.experiment.model_dump(mode="json"),
            "phases": {},
        }
        self.reload()

    def has(self, phase: str) -> bool:
        """Whether a phase has come to its end."""
        return bool(self._data["phases"].get(phase, {}).get("state") == "done")

    def facts(self, phase: str) -> dict[str, Any]:
        """What a finished phase found; raises WorkloadError where it has not run."""
        if not self.has(phase):
            raise WorkloadError(f"run {self._data['run']!r} has no {phase} yet: run it first, with --phase {phase}")
        found: dict[str, Any] = self._data["phases"][phase]["facts"]
        return found

    def begin(self, phase: str) -> None:
        """A phase starts, with what is installed now."""
        before = self._data["phases"].get(phase, {}).get("bill", [])
        self._data["phases"][phase] = {
            "state": "running", "began": _now(), "environment": environment(), "bill": before,
        }  # fmt: skip
        self._write()

    def finish(self, phase: str, facts: dict[str, Any], bill: list[dict[str, Any]]) -> None:
        """A phase has come to its end; `bill` is what its stages cost."""
        self._end(phase, bill, state="done", facts=facts)

    def fail(self, phase: str, error: BaseException, bill: list[dict[str, Any]]) -> None:
        """A phase has not come to its end; the next start tries it again."""
        self._end(phase, bill, state="failed", error=f"{type(error).__name__}: {error}")

    @property
    def bill(self) -> list[dict[str, Any]]:
        """What every stage cost, failed tries included."""
        return [line for phase in self._data["phases"].values() for line in phase.get("bill", [])]

    def _end(self, phase: str, bill: list[dict[str, Any]], **outcome: Any) -> None:
        entry = self._data["phases"][phase]
        entry.update(outcome, ended=_now(), bill=[*entry["bill"], *bill])
        self._write()

    def reload(self) -> None:
        """Look at the disk again: another process may have gone on."""
        if self._path.exists():
            self._take_over(json.loads(self._path.read_text()))

    def _take_over(self, theirs: dict[str, Any]) -> None:
        before, now = _flat(theirs["config"]), _flat(self._data["config"])
        differences = differences_between(
            {**before, "pipeline": theirs["pipeline"]}, {**now, "pipeline": self._data["pipeline"]}
        )
        if differences:
            raise WorkloadError(
                f"run {self._data['run']!r} was begun with another configuration ({differences}): give this one a name "
                f"of its own with --run or --tag, or remove {self.folder}"
            )
        self._data["phases"] = theirs["phases"]

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self._data, indent=1))
        partial.rename(self._path)


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def free_bytes(folder: Path) -> int:
    """Room left where a folder is or will be."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free
