"""The Prometheus that was named: whether it answers, scrapes an exporter, and has the same time as we."""

from __future__ import annotations

import time

from ..promql import PromQLError, instant
from .facts import PrometheusFacts

_TIMEOUT_SECONDS = 5.0


def ask_prometheus(url: str) -> PrometheusFacts:
    """Ask for its time and for the exporters that it scrapes."""
    try:
        before = time.time()
        # `time()` alone is a scalar.
        theirs = instant(url, "vector(time())", _TIMEOUT_SECONDS)[0][1]
        ours = (before + time.time()) / 2
        counted = instant(url, "count(joulemark_build_info)", _TIMEOUT_SECONDS)
    except PromQLError as error:
        return PrometheusFacts(url, False, str(error))
    return PrometheusFacts(url, True, exporters=int(counted[0][1]) if counted else 0, ahead_seconds=theirs - ours)
