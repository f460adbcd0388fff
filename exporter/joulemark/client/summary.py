"""The summary of a stage that took several windows, because the exporter lost or closed one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ExporterAway

Summary = dict[str, Any]
_FIGURES = ("joules", "seconds", "uncertainty_joules")
_TABLES = ("tokens", "joules_by_device")


def checked(answer: object) -> Summary:
    """The answer, when it is the summary of a window; raises ExporterAway for what is not."""
    if (
        isinstance(answer, dict)
        and all(isinstance(answer.get(field), str) for field in ("id", "state"))
        and all(isinstance(answer.get(field), int | float) for field in _FIGURES)
        and all(isinstance(answer.get(field), dict) for field in _TABLES)
    ):
        return answer
    raise ExporterAway("no exporter there: what answered does not know windows (is it another service?)", asked=True)


def all_checked(answer: object) -> list[Summary]:
    """The answer, when it is a list of such summaries; raises ExporterAway for what is not."""
    return [checked(window) for window in (answer if isinstance(answer, list) else [answer])]


def added_up(windows: Sequence[Summary]) -> Summary:
    """One summary of all: joules, seconds and tokens added, and the bounds too, as their errors may have one sign."""
    last = windows[-1]
    if len(windows) == 1:
        return last
    joules, seconds = _sum(windows, "joules"), _sum(windows, "seconds")
    tokens = _sums(windows, "tokens")
    counted = sum(count for kind, count in tokens.items() if kind != "prompt") or tokens.get("prompt", 0)
    return {
        **last,
        "started_at": windows[0].get("started_at"),
        "joules": joules,
        "seconds": seconds,
        "uncertainty_joules": _sum(windows, "uncertainty_joules"),
        "joules_by_device": _sums(windows, "joules_by_device"),
        "mean_watts": joules / seconds if seconds > 0 else None,
        "peak_watts": max((window.get("peak_watts") or 0.0 for window in windows), default=0.0) or None,
        "tokens": tokens,
        "joules_per_token": joules / counted if counted else None,
        "windows": len(windows),
    }


def _sum(windows: Sequence[Summary], field: str) -> float:
    return sum(float(window[field]) for window in windows)


def _sums(windows: Sequence[Summary], field: str) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for window in windows:
        counts: Mapping[str, Any] = window[field]
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    return totals
