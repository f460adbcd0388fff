"""The examination from beginning to end: what is measured when, and for how long."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from ..client.endpoint import Endpoint
from ..clock import SystemClock
from ..settings import Settings
from .availability import source_warnings, try_sources
from .bench import Bench
from .beside_exporter import booked_between, take_mark
from .diagnosis import Diagnosis
from .exporter import ask_exporter
from .facts import ExporterFacts, LoadState, PrometheusFacts
from .findings import SEVERITIES, Finding, finding
from .judge_devices import judge_device
from .judge_machine import judge_clocks, judge_sources, judge_versions
from .judge_service import (
    judge_address,
    judge_booked,
    judge_exporter,
    judge_prometheus,
    judge_state_dir,
    judge_web_files,
)
from .machine import clock_facts, look_at_clocks, versions
from .permissions import address_facts, state_dir_facts, why_no_web
from .prometheus import ask_prometheus
from .side_by_side import Progress


@dataclass(frozen=True)
class Plan:
    """What to examine: for how long, what `serve` would run with, and whom else to ask.

    `load` True or False decides over the doctor's own load; None puts it on GPUs that nobody uses.
    """

    settings: Settings
    seconds: float = 60.0
    load: bool | None = None
    prometheus_url: str = ""


def examine(plan: Plan, progress: Progress) -> Diagnosis:
    """Examine this machine; takes about `plan.seconds`, and nothing on the machine is changed."""
    wall, began, clocks_before = time.time(), time.monotonic(), look_at_clocks()
    progress.step("looking for sources", 2)
    installed, (states, sources) = versions(), try_sources(plan.settings, SystemClock())
    first = take_mark(sources, _ask_exporter)
    bench = Bench(sources, progress, plan.seconds)
    with source_warnings():
        # What a source would have to say of a reading is told as a finding.
        load = bench.run(plan.load)
    progress.step("asking the exporter and Prometheus", 1)
    hung = frozenset(facts.device.key for facts in bench.devices if facts.hung)
    last = take_mark(sources, _ask_exporter, hung) if first else None
    exporter, prometheus = _services(plan)
    clocks = clock_facts(clocks_before)
    findings = [
        *judge_versions(installed),
        *judge_sources(states, installed, plan.settings.source),
        *(one for facts in bench.devices for one in judge_device(facts, load)),
        *_judge_load(bench, load),
        *judge_clocks(clocks),
        judge_state_dir(state_dir_facts(plan.settings.state_dir)),
        *map(judge_address, address_facts(plan.settings)),
        *judge_web_files(why_no_web(plan.settings)),
        *judge_exporter(exporter, installed.joulemark),
        *judge_booked(booked_between(first, last), exporter.url),
        *(judge_prometheus(prometheus) if prometheus else []),
    ]
    findings.sort(key=lambda one: SEVERITIES.index(one.severity))
    bench.close()
    return Diagnosis(
        wall, time.monotonic() - began, installed, clocks, tuple(states), tuple(bench.devices), load, tuple(findings)
    )


def _ask_exporter() -> ExporterFacts:
    return ask_exporter(Endpoint.found(), asked="JOULEMARK_URL" in os.environ)


def _services(plan: Plan) -> tuple[ExporterFacts, PrometheusFacts | None]:
    return _ask_exporter(), ask_prometheus(plan.prometheus_url) if plan.prometheus_url else None


def _judge_load(bench: Bench, load: LoadState) -> list[Finding]:
    if not any(facts.device.gauge for facts in bench.devices):
        return []
    if load.ran:
        return [finding("load_ran", "", f"matrix products with PyTorch {load.torch}")]
    return [finding("load_none", "", load.reason)]
