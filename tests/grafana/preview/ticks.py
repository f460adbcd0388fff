"""Axis ticks in the units of Grafana's list that the boards use."""

from __future__ import annotations

from matplotlib.axes import Axes

_SCALED = {"watth": "Wh", "joule": "J", "watt": "W", "s": "s", "massg": "g", "hertz": "Hz", "bytes": "B"}
_AS_IS = {"celsius": " °C", "rps": " rd/s", "cps": " c/s"}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def text_of(value: float, unit: str) -> str:
    """A tick's text."""
    if unit == "percentunit":
        return f"{100 * value:.3g}%"
    if unit in _AS_IS:
        return f"{value:.4g}{_AS_IS[unit]}"
    if value == 0:
        return f"0 {_SCALED.get(unit, '')}".strip()
    if unit not in _SCALED and abs(value) < 1000:
        return f"{value:.4g}"
    scale, prefix = next(((s, p) for s, p in _PREFIXES if abs(value) >= s * 0.9999), _PREFIXES[-1])
    if unit == "s" and scale > 1:
        scale, prefix = 1, ""
    return f"{value / scale:.4g} {prefix}{_SCALED.get(unit, '')}".strip()


def ticked(axes: Axes, side: str, unit: str | None) -> None:
    """Write the ticks of an axis in a unit."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_formatter(lambda value, _: text_of(value, unit or "none"))
