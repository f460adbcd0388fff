"""What turns joules into CO2e and cost; no joule is ever changed by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .carbon import Intensity
from .errors import SettingsError


@dataclass(frozen=True)
class Factors:
    """PUE (1: the devices alone, no building), the grid's intensity and the price of a kWh; None is not given.

    Raises SettingsError for what is not possible.
    """

    pue: float = 1.0
    grid: Intensity | None = None
    price_per_kwh: float | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        _require(1 <= self.pue <= 10, "pue", self.pue, "1 to 10")
        price, currency = self.price_per_kwh, self.currency
        _require(price is None or 0 <= price < 1e9, "price.per-kwh", price, "0 or more")
        known = currency is None or bool(re.fullmatch(r"[A-Za-z]{1,8}", currency))
        _require(known, "price.currency", currency, "1 to 8 letters, for example EUR")
        both = (price is None) == (currency is None)
        _require(both, "price.currency", currency, "a currency and a --price.per-kwh together")

    def as_json(self) -> dict[str, object]:
        """The factors by name, null where not given."""
        return {
            "pue": self.pue,
            "zone": self.grid.zone if self.grid else None,
            "grams_per_kwh": self.grid.grams_per_kwh if self.grid else None,
            "carbon_source": self.grid.source if self.grid else None,
            "price_per_kwh": self.price_per_kwh,
            "currency": self.currency,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Factors:
        """The factors as `as_json` gives them."""
        grams = data["grams_per_kwh"]
        grid = None if grams is None else Intensity(data["zone"] or "", grams, data["carbon_source"] or "")
        return cls(data["pue"], grid, data["price_per_kwh"], data["currency"])


def _require(holds: bool, flag: str, value: object, accepted: str) -> None:
    if not holds:
        raise SettingsError(f"--{flag}: {value!r} is not possible; accepted: {accepted}")
