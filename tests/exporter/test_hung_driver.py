"""A driver that hangs in its very first call: the exporter starts all the same, and takes it up when it answers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from exporter_process import wait_for

from joulemark.clock import SystemClock
from joulemark.errors import SourceUnavailable
from joulemark.settings import Settings
from joulemark.sources import bounded, select
from joulemark.sources.replay import ReplaySource


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """NVML that answers when this is set, and a builder with little patience."""
    answers = threading.Event()

    def build(clock: SystemClock, **_: object) -> ReplaySource:
        answers.wait(60)
        return ReplaySource(clock)

    monkeypatch.setattr("joulemark.sources.nvml.NvmlSource", build)
    monkeypatch.setattr(select, "_building", bounded.BoundedCalls(0.05))
    return answers


def test_it_starts_without_and_takes_it_up_later(hung: threading.Event, tmp_path: Path) -> None:
    settings, clock = Settings(state_dir=tmp_path, source="auto"), SystemClock()
    [at_start] = select.select_sources(settings, clock)
    assert at_start.devices[0].source == "cpu_model"
    threads = threading.active_count()
    assert select.late_sources(settings, clock, ["cpu_model"]) == []
    assert threading.active_count() == threads, "a call that hangs must not be made again"
    hung.set()
    found: list[object] = []

    def taken_up() -> bool:
        found.extend(select.late_sources(settings, clock, ["cpu_model", "rapl"]))
        return bool(found)

    wait_for(taken_up)
    assert isinstance(found[0], ReplaySource)


def test_one_that_was_asked_for_by_name_is_refused_with_the_remedy(hung: threading.Event, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"no answer in .* dmesg"):
        select.select_sources(Settings(state_dir=tmp_path, source="nvml_counter"), SystemClock())
    hung.set()
