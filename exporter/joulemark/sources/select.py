"""From a source's name, or `auto`, to the sources that this machine really has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from ..clock import Clock
from ..errors import SourceUnavailable
from ..settings import Settings
from . import nvml, rapl, replay
from .base import Source
from .bounded import BoundedCalls
from .cpu_model import NAME as CPU_MODEL
from .cpu_model import CpuModelSource

log = logging.getLogger(__name__)

# A driver may hang in its very first call: the exporter starts all the same.
_BUILD_SECONDS = 15.0
_building: BoundedCalls[Source] = BoundedCalls(_BUILD_SECONDS)
# What `auto` takes where it is there, in this order.
MEASURABLE = (nvml.COUNTER, rapl.NAME)


def select_sources(settings: Settings, clock: Clock) -> list[Source]:
    """Build what `settings.source` asks for; raises SourceUnavailable with cause and remedy.

    `auto` takes all that is measurable and falls to the CPU model only when nothing is.
    """
    builders = _builders(settings, clock)
    if settings.source != "auto":
        return [_built(builders, settings.source)]
    return _available(builders, MEASURABLE, logging.INFO) or [builders[CPU_MODEL]()]


def late_sources(settings: Settings, clock: Clock, present: Iterable[str]) -> list[Source]:
    """What `auto` would take now and did not find before; `present` names the sources that are there."""
    if settings.source != "auto":
        return []
    taken = {nvml.COUNTER if name == nvml.POWER else name for name in present}
    return _available(_builders(settings, clock), [name for name in MEASURABLE if name not in taken], logging.DEBUG)


def build_source(name: str, settings: Settings, clock: Clock) -> Source:
    """Build one source by its name; raises SourceUnavailable with cause and remedy."""
    return _built(_builders(settings, clock), name)


def _built(builders: Mapping[str, Callable[[], Source]], name: str) -> Source:
    try:
        return _building.call(name, builders[name])
    except TimeoutError:
        remedy = "the driver hangs: look for Xid errors in dmesg, see whether nvidia-smi answers, load the driver anew"
        raise SourceUnavailable(f"no answer in {_BUILD_SECONDS:.0f} s; {remedy}") from None


def _available(builders: Mapping[str, Callable[[], Source]], names: Iterable[str], level: int) -> list[Source]:
    found: list[Source] = []
    for name in names:
        try:
            found.append(_built(builders, name))
        except SourceUnavailable as why:
            log.log(level, "source=%s available=false reason=%s", name, why)
    return found


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
