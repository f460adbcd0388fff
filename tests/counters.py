"""What Prometheus would say of two scrapes: no counter may have gone down."""

from __future__ import annotations

from collections.abc import Mapping


def gone_down(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """The counters that are lower in `after`; samples by their text `name{labels}`."""
    return [
        f"{name}: {value!r} -> {after[name]!r}"
        for name, value in before.items()
        if name.partition("{")[0].endswith("_total") and name in after and after[name] < value
    ]


def gone(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """The counters of runs that are not there any more."""
    return [
        name for name in before if "_total" in name and 'run="' in name and 'run=""' not in name and name not in after
    ]
