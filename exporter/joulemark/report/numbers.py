"""How figures are written: units that fit, digits that mean something, names that fit beside an axis."""

from __future__ import annotations

import math

from ..accounting import JOULES_PER_KWH

_NAME_CHARACTERS = 28


def scale(joules: float) -> tuple[float, str]:
    """Factor and unit in which so many joules read well: J, kJ, or kWh from 0.1 kWh on."""
    if joules >= 0.1 * JOULES_PER_KWH:
        return 1 / JOULES_PER_KWH, "kWh"
    return (1e-3, "kJ") if joules >= 1e3 else (1.0, "J")


def amount(joules: float, bound: float | None = None) -> str:
    """So many joules in the unit that fits."""
    factor, unit = scale(abs(joules))
    return f"{with_bound(joules * factor, bound * factor if bound else None)} {unit}"


def with_bound(value: float, bound: float | None, places: int | None = None) -> str:
    """`x ± y` with at least one digit of the bound; `x` alone without a bound.

    The value has so many decimal places, or without that three significant digits.
    """
    shown = _digits(abs(value), 3) if places is None else places
    if not bound or bound <= 0:
        return f"{value:,.{shown}f}"
    shown = max(shown, _digits(bound, 1))
    return f"{value:,.{shown}f} ± {bound:,.{shown}f}"


def digits(value: float | None, significant: int = 3) -> str:
    """A figure with so many significant digits, nothing where there is none."""
    return "" if value is None else f"{value:,.{_digits(abs(value), significant)}f}"


def places_for(largest: float) -> int:
    """Decimal places for a column of figures whose largest is shown with four significant digits."""
    return _digits(largest, 4)


def fixed(value: float | None, places: int | None = None) -> str:
    """A figure with so many decimal places (one below 100,000, else none), nothing where there is none."""
    if value is None:
        return ""
    shown = int(abs(value) < 1e5) if places is None else places
    return f"{value:,.{shown}f}"


def percent(ratio: float | None, places: int = 1) -> str:
    """A ratio in percent, nothing where there is none."""
    return "" if ratio is None else f"{100 * ratio:.{places}f} %"


def count(value: float | None) -> str:
    """A large count as people say it: 1.25 billion, 30.0 million, 4,200."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if value is not None and value >= size:
            return f"{digits(value / size)} {word}"
    return "" if value is None else f"{value:,.0f}"


def short(name: str) -> str:
    """A name that fits beside an axis: a long one keeps its beginning and its end."""
    keep = (_NAME_CHARACTERS - 1) // 2
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:keep]}…{name[-keep:]}"


def _digits(value: float, significant: int) -> int:
    """Decimal places that show so many significant digits."""
    return 0 if value <= 0 else max(0, significant - 1 - math.floor(math.log10(value)))
