"""The exporter that runs already: its /metrics, and whether what it says adds up."""

from __future__ import annotations

import http.client
import math
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from .facts import ExporterFacts

_TIMEOUT_SECONDS = 5.0
# A proxy that is set for downloads must not carry calls to this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Sample = tuple[str, dict[str, str], float]


def ask_exporter(url: str, *, asked: bool) -> ExporterFacts:
    """Scrape the exporter at a URL once; whatever is wrong with that is its `reason`."""
    url = url.rstrip("/")
    try:
        with _OPENER.open(f"{url}/metrics", timeout=_TIMEOUT_SECONDS) as answer:
            samples = _samples(answer.read().decode())
    except urllib.error.HTTPError as error:
        return ExporterFacts(url, asked, False, f"it answers HTTP {error.code} {error.reason}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        return ExporterFacts(url, asked, False, str(cause))
    versions = [labels["version"] for name, labels, _ in samples if name == "joulemark_build_info"]
    if not versions:
        return ExporterFacts(url, asked, False, "what answers there is not Joulemark")
    booked, totals = _sums("joulemark_energy_joules_total", samples), _by_device(samples, "device_energy_joules_total")
    return ExporterFacts(
        url=url,
        asked=asked,
        reachable=True,
        version=versions[0],
        residual_joules={device: booked.get(device, 0.0) - total for device, total in totals.items()},
        total_joules=totals,
        disagreement_ratio=_by_device(samples, "estimator_disagreement_ratio"),
        up={device: value == 1 for device, value in _by_device(samples, "source_up").items()},
        source={labels["device"]: labels["source"] for name, labels, _ in samples if name == "joulemark_device_info"},
    )


def _samples(page: str) -> list[Sample]:
    return [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]


def _sums(name: str, samples: Iterable[Sample]) -> dict[str, float]:
    parts: dict[str, list[float]] = defaultdict(list)
    for found, labels, value in samples:
        if found == name:
            parts[labels["device"]].append(value)
    return {device: math.fsum(values) for device, values in parts.items()}


def _by_device(samples: Iterable[Sample], name: str) -> dict[str, float]:
    return {labels["device"]: value for found, labels, value in samples if found == f"joulemark_{name}"}
