"""How figures are written on a terminal."""

from __future__ import annotations

from collections.abc import Mapping


def joules_text(summary: Mapping[str, object]) -> str:
    """`x ± y J` for anything with joules and uncertainty_joules, marked when a model and not a meter made it."""
    joules, bound = summary["joules"], summary["uncertainty_joules"]
    assert isinstance(joules, int | float)
    assert isinstance(bound, int | float)
    modelled = summary.get("modelled") or summary.get("origin") == "modelled"
    return f"{joules:,.1f} ± {bound:,.1f} J" + (" (modelled)" if modelled else "")
