"""Which sources this machine has, and which of them `joulemark serve` would read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..clock import Clock
from ..errors import SourceUnavailable
from ..settings import Settings
from ..sources import cpu_model, nvml
from ..sources.base import Source
from ..sources.select import MEASURABLE, build_source
from .facts import SourceState
from .side_by_side import side_by_side

# Starting a driver that nothing keeps loaded takes seconds on a machine of many GPUs.
_PATIENCE_SECONDS = 30.0


def try_sources(settings: Settings, clock: Clock) -> tuple[list[SourceState], list[Source]]:
    """Try every source that there could be; returns how each did, and those that `serve` would read, still open."""
    asked = settings.source
    names = [*MEASURABLE, cpu_model.NAME]
    if asked == nvml.POWER:
        names[names.index(nvml.COUNTER)] = nvml.POWER
    elif asked not in ("auto", *names):
        names.append(asked)
    tried = {name: _try(lambda name=name: build_source(name, settings, clock), name) for name in names}  # type: ignore[misc]
    measured = [name for name in MEASURABLE if name in tried and tried[name][0]]
    taken = [asked] if asked != "auto" else measured or [cpu_model.NAME]
    states, sources = [], []
    for name, (source, reason, warnings) in tried.items():
        devices = tuple(device.name for device in source.devices) if source else ()
        states.append(SourceState(name, source is not None, name in taken and bool(source), reason, devices, warnings))
        if source and name in taken:
            sources.append(source)
        elif source:
            source.close()
    return states, sources


def _try(build: Callable[[], Source], name: str) -> tuple[Source | None, str, tuple[str, ...]]:
    """The source, or why there is none; and what it warned of meanwhile."""

    def attempt() -> Source | str:
        try:
            return build()
        except SourceUnavailable as why:
            return str(why)

    with source_warnings() as said:
        done = side_by_side({name: attempt}, _PATIENCE_SECONDS)
    outcome = done.get(name, f"it did not answer in {_PATIENCE_SECONDS:.0f} s: the driver hangs; see 'dmesg'")
    if isinstance(outcome, str):
        return None, outcome, tuple(said)
    return outcome, "", tuple(said)


@contextmanager
def source_warnings() -> Iterator[list[str]]:
    """Collects what sources log as warnings, instead of letting it onto the terminal."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger(nvml.__name__.rpartition(".")[0]), Collector(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
