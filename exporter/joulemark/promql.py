"""Asks a Prometheus over its HTTP API.

PromQLError
└── PrometheusUnreachable
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from .errors import JoulemarkError

LOOKBACK = "90d"
_TIMEOUT_SECONDS = 30.0
StageKey = tuple[str, str, str]


class PromQLError(JoulemarkError):
    """A query that Prometheus refused; the message holds its own words."""


class PrometheusUnreachable(PromQLError):
    """No Prometheus answers at the address."""


def instant(url: str, query: str) -> list[tuple[dict[str, str], float]]:
    """The samples of an instant vector: labels and value."""
    request = f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  the user's own URL
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise PromQLError(f"Prometheus at {url} refused {query!r}: {_reason(error)}") from error
    except (OSError, ValueError) as error:
        raise PrometheusUnreachable(
            f"no Prometheus at {url} ({error}): start it, or leave --prometheus out to read the ledger alone"
        ) from error
    return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


def stage_joules(url: str, runs: Sequence[str]) -> dict[StageKey, float]:
    """Joules by (run, stage, phase) as Prometheus has scraped them, finished runs included."""
    matcher = string_literal("|".join(re.escape(run) for run in runs))
    counters = f"last_over_time(joulemark_energy_joules_total{{run=~{matcher}}}[{LOOKBACK}])"
    rows = instant(url, f"sum by (run, stage, phase) ({counters})")
    return {(m.get("run", ""), m.get("stage", ""), m.get("phase", "")): value for m, value in rows}


def string_literal(text: str) -> str:
    """A PromQL string with everything that needs it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _reason(error: urllib.error.HTTPError) -> Any:
    try:
        return json.load(error)["error"]
    except (ValueError, KeyError, OSError):
        return error.reason
