"""Grafana's own code under Node: it makes frames of Prometheus' answers, transforms them, and writes the texts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from answers import Answers
from board_files import panels

NODE = Path(__file__).parent / "node"
# Grafana's packages require() ES modules, which Node can do from here on; Debian 12 has an older one.
_OLDEST = (20, 19)
_OWN_NODE = "node@20.20.2"
_INSTALL = ["npm", "install", "--legacy-peer-deps", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]


@dataclass(frozen=True)
class Field:
    """A column of a frame: values as numbers and strings, and the texts and colours that Grafana would show."""

    name: str
    title: str
    type: str
    values: list[Any]
    texts: list[str]
    colours: list[str | None]
    # Of the field as a whole: what a curve or a bar is drawn in.
    colour: str
    config: dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """What a panel draws."""

    name: str | None
    ref_id: str | None
    fields: list[Field]

    def field(self, title: str) -> Field:
        """The column of this title; fails where there is none, or more than one."""
        found = [one for one in self.fields if one.title == title]
        assert len(found) == 1, (title, [one.title for one in self.fields])
        return found[0]

    def __contains__(self, title: str) -> bool:
        return any(one.title == title for one in self.fields)

    def rows(self, key: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each row as values by title, with its key; what a join left open is None."""
        for place, name in enumerate(self.field(key).values):
            yield name, {one.title: _value(one.values[place]) for one in self.fields}

    @property
    def length(self) -> int:
        """Number of rows."""
        return len(self.fields[0].values) if self.fields else 0


@dataclass(frozen=True)
class Drawn:
    """A board as Grafana would draw it: frames by panel title, events by annotation."""

    frames: dict[str, list[Frame]]
    # Points of XY charts: by panel, by series, by run.
    points: dict[str, dict[str, dict[str, tuple[float, float]]]]
    events: dict[str, list[dict[str, Any]]]

    def only(self, title: str) -> Frame:
        """The frame of a panel that has one."""
        frames = self.frames[title]
        assert len(frames) == 1, (title, len(frames))
        return frames[0]


def require_node() -> None:
    """Install Grafana's packages if they are not there. Without Node: fails in CI, skips elsewhere."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "Node.js and npm are not installed, and Grafana's own code runs on them: apt-get install nodejs npm"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    extra = [] if _node() == "node" else ["--no-save", _OWN_NODE]
    wanted = "\n".join([(NODE / "package.json").read_text(), *extra])
    done = NODE / "node_modules" / ".installed"
    if done.exists() and done.read_text() == wanted:
        return
    installed = subprocess.run([*_INSTALL, *extra], cwd=NODE, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr
    done.write_text(wanted)


@cache
def _node() -> str:
    """The machine's Node, or where it is too old one that npm brings."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor, *_ = map(int, version.strip().removeprefix("v").split("."))
    return "node" if (major, minor) >= _OLDEST else str(NODE / "node_modules" / "node" / "bin" / "node")


def draw(answers: Sequence[Answers]) -> list[Drawn]:
    """Each board as Grafana would draw it."""
    require_node()
    asked = {
        "panels": [_panel(one, panel) for one in answers for panel in panels(one.board)],
        "annotations": [_mark(one, mark) for one in answers for mark in one.board["annotations"].get("list", [])],
    }
    done = subprocess.run([_node(), "frames.cjs"], cwd=NODE, input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    told, events = iter(found["panels"]), iter(found["annotations"])
    return [_drawn(one, told, events) for one in answers]


def run_node(*argv: str) -> subprocess.CompletedProcess[str]:
    """A command of the installed packages, such as tsc."""
    require_node()
    return subprocess.run([_node(), *argv], cwd=NODE, capture_output=True, text=True)


def _panel(answers: Answers, panel: Mapping[str, Any]) -> dict[str, Any]:
    targets = [{**target, "stepMs": 1000 * answers.step if target["range"] else 0} for target in panel["targets"]]
    return {"panel": {**panel, "targets": targets}, "answers": answers.of_panel(panel)}


def _mark(answers: Answers, mark: Mapping[str, Any]) -> dict[str, Any]:
    return {"annotation": mark, "answer": answers.data[f"annotation {mark['name']}", "Anno"]}


def _drawn(answers: Answers, told: Iterator[dict[str, Any]], events: Iterator[list[dict[str, Any]]]) -> Drawn:
    drawn = Drawn({}, {}, {})
    for panel in panels(answers.board):
        one = next(told)
        drawn.frames[panel["title"]] = [_frame(frame) for frame in one["frames"]]
        drawn.points[panel["title"]] = {
            series["name"]: {run: (x, y) for run, x, y in series["points"]} for series in one["series"]
        }
    for mark in answers.board["annotations"].get("list", []):
        drawn.events[mark["name"]] = next(events)
    return drawn


def _frame(told: Mapping[str, Any]) -> Frame:
    return Frame(told["name"], told["refId"], [Field(**one) for one in told["fields"]])


def _value(value: Any) -> Any:
    return None if isinstance(value, dict) else value
