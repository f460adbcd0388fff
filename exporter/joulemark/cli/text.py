"""How figures are written on a terminal."""

from __future__ import annotations

from collections.abc import Mapping


def joules_text(summary: Mapping[str, object]) -> str:
    """`x ± y J` for anything with joules and uncertainty_joules, marked when no meter here made it."""
    joules, bound = summary["joules"], summary["uncertainty_joules"]
    assert isinstance(joules, int | float)
    assert bound is None or isinstance(bound, int | float)
    text = f"{joules:,.1f} J" if bound is None else f"{joules:,.1f} ± {bound:,.1f} J"
    origin = "modelled" if summary.get("modelled") else summary.get("origin")
    return text + (f" ({origin})" if origin in ("modelled", "published") else "")


def seconds_text(seconds: float | None) -> str:
    """Seconds with one digit, nothing where they are not known."""
    return "" if seconds is None else f"{seconds:.1f}"
