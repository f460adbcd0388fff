"""A fake engine and what watches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_engine import FakeEngine
from meter_rig import Rig
from watched import Watched


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "engine.sock")
    yield engine
    engine.close()


@pytest.fixture
def watched(rig: Rig, engine: FakeEngine) -> Iterator[Watched]:
    watched = Watched(rig, engine)
    yield watched
    watched.stop()
