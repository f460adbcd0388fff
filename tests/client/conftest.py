"""What the client's tests need: a fake exporter that behaves as told, and quick beats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_exporter import FakeExporter

from joulemark.client import timing


@pytest.fixture
def fake() -> Iterator[FakeExporter]:
    """A fake exporter on loopback."""
    exporter = FakeExporter()
    yield exporter
    exporter.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and retries come at once, so that no test waits for them."""
    monkeypatch.setattr(timing, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(timing, "RETRY_SECONDS", 0.05)
