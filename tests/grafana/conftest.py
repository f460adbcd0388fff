"""One scene for all tests of the boards: processes take half a minute to show what boards are for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scene import Scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Exporters, frontier and Prometheus, with all that the boards show."""
    made = Scene(tmp_path_factory.mktemp("boards"))
    try:
        made.settle()
        yield made
    finally:
        made.stop()
