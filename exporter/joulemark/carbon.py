"""How much CO2e a kWh of a grid stands for: a dated table by country that ships with the package, or the user's own."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import SettingsError

SHIPPED = Path(__file__).with_name("grid_intensity.csv")
COLUMNS = ("zone", "grams_per_kwh", "source")


@dataclass(frozen=True)
class Intensity:
    """Grams of CO2e per kWh of a zone's grid, and where the figure is from."""

    zone: str
    grams_per_kwh: float
    source: str


def intensity_of(zone: str | None, grams_per_kwh: float | None = None, table: Path | None = None) -> Intensity | None:
    """The figure that was given, else that of the zone; None without either. Raises SettingsError.

    A zone is an ISO 3166 code in two or three letters, or whatever the user's own table calls it.
    """
    if zone is not None and not 1 <= len(zone.strip()) <= 64:
        raise SettingsError(f"--carbon.zone: {zone!r} is not possible; accepted: 1 to 64 characters")
    if grams_per_kwh is not None:
        if not 0 <= grams_per_kwh <= 10_000:
            raise SettingsError(f"--carbon.grams-per-kwh: {grams_per_kwh!r} is not possible; accepted: 0 to 10000")
        return Intensity((zone or "").strip(), grams_per_kwh, "configured")
    return None if zone is None else _looked_up(zone, table or SHIPPED)


def zones(table: Path | None = None) -> dict[str, Intensity]:
    """The whole table, by zone; raises SettingsError where it cannot be read."""
    path = table or SHIPPED
    return {row["zone"]: _intensity(row, path) for row in _rows(path)}


def _looked_up(zone: str, path: Path) -> Intensity:
    rows = _rows(path)
    wanted = zone.strip().upper()
    for row in rows:
        if wanted in (row["zone"].upper(), (row.get("iso3") or "").upper()):
            return _intensity(row, path)
    names = {row["zone"]: row.get("name") or "" for row in rows}
    raise SettingsError(f"--carbon.zone: {zone!r} is not in {path.name}{_hint(zone, names)}")


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--carbon.file: {path} cannot be read: {error}") from error
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise SettingsError(
            f"--carbon.file: {path} lacks the column {', '.join(missing)}: write CSV with {', '.join(COLUMNS)}"
        )
    return [{name: text or "" for name, text in row.items() if name} for row in reader]


def _intensity(row: dict[str, str], path: Path) -> Intensity:
    try:
        grams = float(row["grams_per_kwh"])
    except ValueError:
        grams = math.nan
    if not (math.isfinite(grams) and grams >= 0 and row["source"].strip()):
        raise SettingsError(
            f"--carbon.file: {path}, zone {row['zone']!r}: needs grams_per_kwh of 0 or more and a source, as a figure "
            "without one cannot be published"
        )
    return Intensity(row["zone"], grams, row["source"].strip())


def _hint(zone: str, names: dict[str, str]) -> str:
    """What the user may have meant: a zone whose name is close, else some that are there."""
    by_name = {name.casefold(): code for code, name in names.items() if name}
    close = difflib.get_close_matches(zone.casefold(), by_name, n=1, cutoff=0.6)
    if close:
        return f": did you mean {by_name[close[0]]}?"
    return f": known are {_some(names)}; or give the figure itself by --carbon.grams-per-kwh"


def _some(names: Iterable[str], most: int = 12) -> str:
    known = sorted(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
