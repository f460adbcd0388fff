"""The exporter that runs already: its /metrics, and whether what it says adds up."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from ..client.connection import exchange
from ..client.endpoint import Endpoint
from ..errors import ExporterAway
from .facts import ExporterFacts

_TIMEOUT_SECONDS = 5.0
Sample = tuple[str, dict[str, str], float]


def ask_exporter(endpoint: Endpoint, *, asked: bool) -> ExporterFacts:
    """Scrape an exporter once, as the client would call it; whatever is wrong with that is its `reason`."""
    url = endpoint.shown
    try:
        login = endpoint.authorization()
        headers = {"Authorization": login} if login else {}
        status, body = exchange(endpoint, "GET", "/metrics", None, headers, seconds=_TIMEOUT_SECONDS)
        samples = _samples(body.decode()) if status == 200 else []
    except (ExporterAway, ValueError) as error:
        return ExporterFacts(url, asked, False, str(error))
    if status != 200:
        return ExporterFacts(url, asked, False, f"it answers HTTP {status}")
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
        sampling_ratio=_by_device(samples, "estimator_sampling_ratio"),
        up={device: value == 1 for device, value in _by_device(samples, "source_up").items()},
        source=_facts_of_devices(samples, "source"),
        uuid=_facts_of_devices(samples, "uuid"),
        tick_seconds=_by_device(samples, "counter_tick_seconds"),
        gap_seconds=_by_device(samples, "read_gap_seconds_total"),
        last_read_at=_by_device(samples, "last_read_timestamp_seconds"),
    )


def _samples(page: str) -> list[Sample]:
    return [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]


def _facts_of_devices(samples: Iterable[Sample], label: str) -> dict[str, str]:
    return {labels["device"]: labels.get(label, "") for name, labels, _ in samples if name == "joulemark_device_info"}


def _sums(name: str, samples: Iterable[Sample]) -> dict[str, float]:
    parts: dict[str, list[float]] = defaultdict(list)
    for found, labels, value in samples:
        if found == name:
            parts[labels["device"]].append(value)
    return {device: math.fsum(values) for device, values in parts.items()}


def _by_device(samples: Iterable[Sample], name: str) -> dict[str, float]:
    return {labels["device"]: value for found, labels, value in samples if found == f"joulemark_{name}"}
