"""One scene for all tests of a file: processes take half a minute to show what boards are for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scene import Scene


# Not for all files: it would go on to the end of the run, and take a good part of a core from all that is tested then.
@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Exporters, frontier and Prometheus, with all that the boards show."""
    made = Scene(tmp_path_factory.mktemp("boards"))
    try:
        made.settle()
        yield made
    finally:
        made.stop()
