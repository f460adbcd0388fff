"""From a source's name, or `auto`, to the sources that this machine really has."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..clock import Clock
from ..errors import SourceUnavailable
from ..settings import Settings
from . import nvml, rapl, replay
from .base import Source
from .cpu_model import NAME as CPU_MODEL
from .cpu_model import CpuModelSource

log = logging.getLogger(__name__)


def select_sources(settings: Settings, clock: Clock) -> list[Source]:
    """Build what `settings.source` asks for; raises SourceUnavailable with cause and remedy.

    `auto` takes all that is measurable and falls to the CPU model only when nothing is.
    """
    builders = _builders(settings, clock)
    if settings.source != "auto":
        return [builders[settings.source]()]
    found: list[Source] = []
    for name in (nvml.COUNTER, rapl.NAME):
        try:
            found.append(builders[name]())
        except SourceUnavailable as why:
            log.info("source=%s available=false reason=%s", name, why)
    if found:
        return found
    return [builders[CPU_MODEL]()]


def _builders(settings: Settings, clock: Clock) -> dict[str, Callable[[], Source]]:
    return {
        nvml.COUNTER: lambda: nvml.NvmlSource(clock),
        nvml.POWER: lambda: nvml.NvmlSource(clock, use_counter=False),
        rapl.NAME: lambda: rapl.RaplSource(clock),
        CPU_MODEL: lambda: CpuModelSource(clock, tdp_watts=settings.cpu_tdp_watts, idle_watts=settings.cpu_idle_watts),
        replay.NAME: lambda: _replay(settings, clock),
    }


def _replay(settings: Settings, clock: Clock) -> Source:
    traces = replay.load_traces(settings.replay_trace) if settings.replay_trace else None
    # The trace starts at the boot, so that a restarted exporter reads the same counter on.
    return replay.ReplaySource(clock, traces, start=0.0, epoch=clock.boot())
