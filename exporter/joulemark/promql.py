"""Asks a Prometheus over its HTTP API; standard library only.

PromQLError
└── PrometheusUnreachable
"""

from __future__ import annotations

import http.client
import json
import math
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from .errors import JoulemarkError

LOOKBACK = "90d"
_TIMEOUT_SECONDS = 30.0
_DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")
StageKey = tuple[str, str, str]
Sample = tuple[dict[str, str], float]


class PromQLError(JoulemarkError):
    """A query that Prometheus refused, or an answer that is not Prometheus'; the message says which."""


class PrometheusUnreachable(PromQLError):
    """No Prometheus answers at the address."""


def instant(url: str, query: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[Sample]:
    """The samples of an instant vector: labels and value. Raises PromQLError, PrometheusUnreachable."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise PrometheusUnreachable(f"{url!r} is not a Prometheus address: use one like http://127.0.0.1:9090")
    # The timeout goes along too: Prometheus should not go on with what nobody waits for.
    parameters = urlencode({"query": query, "timeout": f"{timeout_seconds:g}s"})
    try:
        with urllib.request.urlopen(  # noqa: S310  the scheme is checked above
            f"{url.rstrip('/')}/api/v1/query?{parameters}", timeout=timeout_seconds
        ) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        raise PromQLError(f"Prometheus at {url} refused {query!r}: {_reason(error)}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise PrometheusUnreachable(
            f"no Prometheus at {url} ({cause}): start it, or leave --prometheus out to read the ledger alone"
        ) from error
    return _samples(url, body)


def stage_joules(url: str, runs: Sequence[str], lookback: str = LOOKBACK) -> dict[StageKey, float]:
    """Joules by (run, stage, phase) as Prometheus has scraped them, finished runs of `lookback` included.

    What Prometheus has never scraped is absent, not 0.
    """
    rows = _over_runs("sum by (run, stage, phase)", "joulemark_energy_joules_total", url, runs, lookback)
    return {(m.get("run", ""), m.get("stage", ""), m.get("phase", "")): value for m, value in rows}


def run_stage_joules(url: str, runs: Sequence[str], lookback: str = LOOKBACK) -> dict[tuple[str, str], float]:
    """Joules by (run, stage), all phases together, as `stage_joules`."""
    rows = _over_runs("sum by (run, stage)", "joulemark_energy_joules_total", url, runs, lookback)
    return {(m.get("run", ""), m.get("stage", "")): value for m, value in rows}


def power_integral_joules(url: str, runs: Sequence[str], lookback: str = LOOKBACK) -> dict[tuple[str, str], float]:
    """Joules by (run, stage) from the scraped watts alone, a recording rule; absent for stages without a scrape."""
    rows = _over_runs("sum by (run, stage)", "run_stage:joulemark_power_joules:integral", url, runs, lookback)
    return {(m.get("run", ""), m.get("stage", "")): value for m, value in rows}


def run_matcher(runs: Sequence[str]) -> str:
    """The label matcher for exactly these runs, whatever characters their names hold."""
    return "run=~" + string_literal("|".join(re.escape(run) for run in runs))


def string_literal(text: str) -> str:
    """A PromQL string with everything that needs it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _over_runs(aggregate: str, metric: str, url: str, runs: Sequence[str], lookback: str) -> list[Sample]:
    if not _DURATION.fullmatch(lookback):
        raise PromQLError(f"lookback {lookback!r} is not a duration: use one like 12h, 1d or 90d")
    if not runs:
        return []
    return instant(url, f"{aggregate} (last_over_time({metric}{{{run_matcher(runs)}}}[{lookback}]))")


def _samples(url: str, body: bytes) -> list[Sample]:
    """The finite samples; NaN is how Prometheus says that there is no value."""
    try:
        answer = json.loads(body)
        data = answer["data"]
        if data["resultType"] != "vector":
            raise PromQLError(f"Prometheus at {url} answered a {data['resultType']}, not an instant vector")
        samples = [(dict(row["metric"]), float(row["value"][1])) for row in data["result"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PromQLError(f"what answers at {url} is not a Prometheus: give the address of its web page") from error
    return [(labels, value) for labels, value in samples if math.isfinite(value)]


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code} {error.reason}; is it a Prometheus?"
