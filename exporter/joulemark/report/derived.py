"""CO2e and cost of energy: derived with the factors that were given, never measured."""

from __future__ import annotations

from .. import accounting
from ..factors import Factors


def co2e_grams(factors: Factors, joules: float | None) -> float | None:
    """Grams of CO2e of so many joules; None without a grid's intensity."""
    if joules is None or factors.grid is None:
        return None
    return accounting.co2e_grams(joules, factors.pue, factors.grid.grams_per_kwh)


def cost(factors: Factors, joules: float | None) -> float | None:
    """Cost of so many joules in the factors' currency; None without a price."""
    if joules is None or factors.price_per_kwh is None:
        return None
    return accounting.cost(joules, factors.pue, factors.price_per_kwh)


def can_derive(factors: Factors) -> bool:
    """Whether an intensity or a price was given."""
    return factors.grid is not None or factors.price_per_kwh is not None


def told(factors: Factors) -> str:
    """The factors in words, with their sources."""
    parts = [f"PUE {factors.pue:g}"]
    if factors.grid is not None:
        source = f"({factors.grid.source})" if factors.grid.source else ""
        where = " ".join(filter(None, (factors.grid.zone, source)))
        parts.append(f"{factors.grid.grams_per_kwh:g} g CO2e per kWh" + (f", {where}" if where else ""))
    if factors.price_per_kwh is not None:
        parts.append(f"{factors.price_per_kwh:g} {factors.currency} per kWh")
    return "; ".join(parts)
