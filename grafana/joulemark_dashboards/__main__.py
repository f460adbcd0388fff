"""`python -m joulemark_dashboards` writes the boards' JSON; `--check` only says whether it is current."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import meter_health, pipelines, run, worth_it

BOARDS = {
    "pipelines": pipelines.build,
    "run": run.build,
    "worth_it": worth_it.build,
    "meter_health": meter_health.build,
}
FOLDER = Path(__file__).parents[1] / "dashboards"


def rendered(name: str) -> str:
    """A board as deterministic JSON, panels numbered in their order (the SDK leaves that to its user)."""
    board: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(BOARDS[name]().build()))
    for number, panel in enumerate(board["panels"], start=1):
        panel["id"] = number
    return json.dumps(tidied(board), indent=2, sort_keys=True) + "\n"


def tidied(board: dict[str, Any]) -> dict[str, Any]:
    """The board without what the SDK adds and Grafana's own types do not know, or that hides things in menus."""
    for panel in board["panels"]:
        panel.get("options", {}).pop("footer", None)
    for variable in board["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min"):
            variable.pop(key, None)
    for item in [*board["links"], *board["annotations"].get("list", [])]:
        item.pop("placement", None)
    return board


def main(argv: list[str]) -> int:
    """Write every board, or check them."""
    stale = [name for name in BOARDS if not _is_current(name)]
    if "--check" in argv:
        for name in stale:
            print(f"{name}.json is not current: run python -m joulemark_dashboards", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(rendered(name))
    return 0


def _is_current(name: str) -> bool:
    path = FOLDER / f"{name}.json"
    return path.exists() and path.read_text() == rendered(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
