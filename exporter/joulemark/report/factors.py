"""What turns energy into CO2e and cost; never into other energy."""

from __future__ import annotations

from dataclasses import dataclass

from .. import accounting


@dataclass(frozen=True)
class Factors:
    """PUE (1: the devices alone, no building), grid intensity with zone and source, price; None is not given."""

    pue: float = 1.0
    zone: str = ""
    grams_per_kwh: float | None = None
    carbon_source: str = ""
    price_per_kwh: float | None = None
    currency: str = ""

    def co2e_grams(self, joules: float | None) -> float | None:
        """Grams of CO2e of so many joules, derived; None without an intensity."""
        if joules is None or self.grams_per_kwh is None:
            return None
        return accounting.co2e_grams(joules, self.pue, self.grams_per_kwh)

    def cost(self, joules: float | None) -> float | None:
        """Cost of so many joules in `currency`, derived; None without a price."""
        if joules is None or self.price_per_kwh is None:
            return None
        return accounting.cost(joules, self.pue, self.price_per_kwh)

    @property
    def given(self) -> bool:
        """Whether anything can be derived."""
        return self.grams_per_kwh is not None or self.price_per_kwh is not None

    def told(self) -> str:
        """The factors in words, with their sources."""
        parts = [f"PUE {self.pue:g}"]
        if self.grams_per_kwh is not None:
            where = " ".join(filter(None, (self.zone, f"({self.carbon_source})" if self.carbon_source else "")))
            parts.append(f"{self.grams_per_kwh:g} g CO2e per kWh" + (f", {where}" if where else ""))
        if self.price_per_kwh is not None:
            parts.append(f"{self.price_per_kwh:g} {self.currency} per kWh".replace("  ", " "))
        return "; ".join(parts)
