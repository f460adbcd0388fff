"""The committed boards, and what Grafana puts into their queries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
# What a board is opened with: everything, in the accounting that a lone user would be charged with.
EVERYTHING: dict[str, str] = {
    "job": ".*", "instance": ".*", "pipeline": ".*", "student": ".*", "dataset": ".*", "run": ".*",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One query of a board: the panel's title, or the annotation's or variable's name, and the target as committed."""

    board: str
    place: str
    ref_id: str
    expr: str
    instant: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """Where it is."""
        return self.board, self.place, self.ref_id


def boards() -> dict[str, dict[str, Any]]:
    """Every committed board, by the name of its file."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something: headings left out."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(name: str, board: Mapping[str, Any]) -> Iterator[Asked]:
    """Every query of a board: panels, annotations, and what fills the variables."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(name, panel["title"], target["refId"], target["expr"], bool(target["instant"]))
    for mark in board["annotations"].get("list", []):
        yield Asked(name, f"annotation {mark['name']}", "Anno", mark["expr"], False)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(name, f"variable {variable['name']}", "Var", _selector(variable["query"]), True)


def defaults(board: Mapping[str, Any]) -> dict[str, str]:
    """What the variables are at first; a variable of one run has none, and takes what is given."""
    values = dict(EVERYTHING)
    for variable in board["templating"]["list"]:
        if variable["type"] == "custom":
            values[variable["name"]] = variable["current"]["value"]
    return values


def substituted(expr: str, values: Mapping[str, str], *, seconds: int = 3600, rate_seconds: int = 15) -> str:
    """The query as it reaches Prometheus; a variable that is not known stays and is an error there."""
    for name, text in (("__range", f"{seconds}s"), ("__rate_interval", f"{rate_seconds}s"), ("__interval", "5s")):
        expr = re.sub(rf"\$\{{?{name}\b\}}?", text, expr)
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), expr)


def _selector(query: str) -> str:
    """The selector inside `label_values(selector, label)`."""
    found = re.fullmatch(r"label_values\((.+), \w+\)", query)
    assert found, query
    return found[1]
