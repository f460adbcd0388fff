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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from .errors import JoulemarkError

LOOKBACK = "90d"
_TIMEOUT_SECONDS = 30.0
_DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")
Sample = tuple[dict[str, str], float]
Curve = tuple[dict[str, str], list[tuple[float, float]]]
Value = TypeVar("Value")


class PromQLError(JoulemarkError):
    """A query that Prometheus refused, or an answer that is not Prometheus'; the message says which."""


class PrometheusUnreachable(PromQLError):
    """No Prometheus answers at the address."""


def instant(url: str, query: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[Sample]:
    """The samples of an instant vector: labels and value. Raises PromQLError, PrometheusUnreachable."""
    rows = _result(
        url, _ask(url, "query", {"query": query}, timeout_seconds), "vector", lambda row: float(row["value"][1])
    )
    # NaN is how Prometheus says that there is no value.
    return [(labels, value) for labels, value in rows if math.isfinite(value)]


def raw(url: str, selector: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[Curve]:
    """The samples as scraped of a range selector like `metric{…}[1d]`: labels, and (Unix seconds, value) pairs."""
    body = _ask(url, "query", {"query": selector}, timeout_seconds)
    rows = _result(url, body, "matrix", lambda row: [(float(at), float(value)) for at, value in row["values"]])
    return [(labels, [(at, value) for at, value in curve if math.isfinite(value)]) for labels, curve in rows]


def latest(url: str, metric: str, matcher: str, lookback: str = LOOKBACK) -> list[Sample]:
    """The last sample of every series of a metric in the lookback, finished runs included."""
    if not _DURATION.fullmatch(lookback):
        raise PromQLError(f"lookback {lookback!r} is not a duration: use one like 12h, 1d or 90d")
    return instant(url, f"last_over_time({metric}{{{matcher}}}[{lookback}])")


def run_matcher(runs: Sequence[str]) -> str:
    """The label matcher for exactly these runs, whatever characters their names hold."""
    return "run=~" + string_literal("|".join(re.escape(run) for run in runs))


def string_literal(text: str) -> str:
    """A PromQL string with everything that needs it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _ask(url: str, call: str, parameters: Mapping[str, str], timeout_seconds: float) -> bytes:
    if urlsplit(url).scheme not in ("http", "https"):
        raise PrometheusUnreachable(f"{url!r} is not a Prometheus address: use one like http://127.0.0.1:9090")
    # The timeout goes along too: Prometheus should not go on with what nobody waits for.
    form = urlencode({**parameters, "timeout": f"{timeout_seconds:g}s"}).encode()
    # Posted: a query that names many runs is longer than an address may be.
    request = urllib.request.Request(f"{url.rstrip('/')}/api/v1/{call}", data=form)  # noqa: S310  checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as response:  # noqa: S310
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        raise PromQLError(f"Prometheus at {url} refused {parameters['query']!r}: {_reason(error)}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise PrometheusUnreachable(
            f"no Prometheus at {url} ({cause}): start it, or name the address at which it answers"
        ) from error


def _result(url: str, body: bytes, kind: str, read: Callable[[Any], Value]) -> list[tuple[dict[str, str], Value]]:
    try:
        data = json.loads(body)["data"]
        if data["resultType"] != kind:
            raise PromQLError(f"Prometheus at {url} answered a {data['resultType']}, not a {kind}")
        return [(dict(row["metric"]), read(row)) for row in data["result"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PromQLError(f"what answers at {url} is not a Prometheus: give the address of its web page") from error


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code} {error.reason}; is it a Prometheus?"
