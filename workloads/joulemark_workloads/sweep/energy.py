"""How the joules of runs are written: with their bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def bounded(joules: float, bound: float | None) -> str:
    """`x ± y`, both in joules; `x` alone where no bound is known."""
    return f"{joules:,.1f}" if bound is None else f"{joules:,.1f} ± {bound:,.1f}"


def together(records: Sequence[dict[str, Any]]) -> str:
    """`x ± y J` of runs as their exporter tells of them, with what of it no meter made; empty of none.

    Bounds add up as those of a run's stages do; where a part has none, the whole has none.
    """
    if not records:
        return ""
    bounds = [record["uncertainty_joules"] for record in records]
    whole = bounded(sum(record["joules"] for record in records), None if None in bounds else sum(bounds))
    unmeasured = sorted({record["origin"] for record in records} - {"measured"})
    return f"{whole} J" + (f" ({', '.join(unmeasured)})" if unmeasured else "")
