"""Numbers from the rows of foreign files: each is checked, and what does not fit is named by file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .imported_run import ImportFailed


@dataclass(frozen=True)
class Line:
    """One line of a CSV file, with where it stands."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A cell as it is, empty where the file has no such column."""
        return self.cells.get(column) or ""

    def amount(self, column: str) -> float:
        """A cell as a number of 0 or more; an empty one is 0. Raises ImportFailed for anything else."""
        text = self.text(column)
        try:
            value = float(text) if text else 0.0
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise ImportFailed(f"{self.path}, line {self.number}: {column} is {text!r}, not a number of 0 or more")
        return value


def lines_of(path: Path, needed: Sequence[str]) -> list[Line]:
    """The lines of a CSV file with a header that has these columns; raises ImportFailed."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImportFailed(f"{path} cannot be read: {error}") from error
    head = rows[0] if rows else []
    missing = [column for column in needed if column not in head]
    if missing:
        raise ImportFailed(f"{path} has no column {', '.join(missing)}: is it the file that was meant?")
    lines = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) not in (0, len(head)):
            raise ImportFailed(f"{path}, line {number}: {len(row)} cells under {len(head)} columns: mend or remove it")
        if row:
            lines.append(Line(path, number, dict(zip(head, row, strict=True))))
    if not lines:
        raise ImportFailed(f"{path} has no line but its header: there is nothing to import")
    return lines
