"""Shows what a benchmark found, and keeps it in results/reliability.md: one section each, the newest figures."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

RESULT = Path(__file__).parents[1] / "results" / "reliability.md"
Row = tuple[str, str]
_HEAD = """# Reliability

Each section is written by its benchmark when it is told `--record`. Times hold whatever else the machine was doing.
"""


def show(rows: Sequence[Row]) -> None:
    """Print figures by name."""
    for name, figure in rows:
        print(f"{name:24}{figure}")


def table(rows: Sequence[Row]) -> str:
    """The same as a table of a section."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)])


def keep(title: str, text: str, path: Path = RESULT) -> None:
    """Replace the section of this title, or add it; says when, where and by which command."""
    page = path.read_text() if path.exists() else _HEAD
    section = f"## {title}\n\n{_circumstances()}\n\n{text}\n"
    before, _, rest = page.partition(f"## {title}\n")
    after = rest[rest.find("\n## ") + 1 :] if "\n## " in rest else ""
    path.write_text(f"{before.rstrip()}\n\n{section}\n{after}".rstrip() + "\n")


def kept(title: str, path: Path = RESULT) -> str:
    """The section of this title as it is in the file, empty where there is none."""
    page = path.read_text() if path.exists() else ""
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _circumstances() -> str:
    module = getattr(sys.modules["__main__"].__spec__, "name", "")
    options = " ".join(option for option in sys.argv[1:] if option != "--record")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{datetime.date.today()}, {cores} cores ({platform.machine()}), Python {platform.python_version()}: "
        f"`python -m {module} {options}".rstrip()
        + "`."
    )
