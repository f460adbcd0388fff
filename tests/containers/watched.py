"""A meter whose clock moves when told, a fake engine, and the watch between them, through the real Docker SDK."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from fake_engine import FakeEngine
from meter_rig import Rig

from joulemark.containers.bookings import ContainerBookings
from joulemark.containers.engine import connector
from joulemark.containers.watch import ContainerWatch


class Watched:
    """A rig whose containers are watched; the watch can be restarted together with the meter."""

    def __init__(self, rig: Rig, engine: FakeEngine) -> None:
        self.rig, self.engine = rig, engine
        self.watch: ContainerWatch | None = None

    def start(self, list_seconds: float = 0.05) -> None:
        bookings = ContainerBookings(self.rig.meter)
        self.watch = ContainerWatch(bookings, connector(self.engine.url), list_seconds=list_seconds, retry_seconds=0.05)
        self.watch.start()
        self.until(lambda: self.state("up") == 1)

    def stop(self) -> None:
        if self.watch:
            self.watch.stop()
            self.watch.join(20)
            assert not self.watch.is_alive()
            self.watch = None
        # What the SDK left of calls that failed is cleared away here and not in another test.
        gc.collect()

    def state(self, name: str) -> float:
        """`up`, or the number of containers in a state."""
        assert self.watch is not None
        found = {labels[0] if labels else "up": value for _, labels, value in self.watch.samples()}
        return found[name]

    def active(self) -> list[tuple[str, str, str]]:
        """Run, stage and state of the open windows, oldest first."""
        return [(str(w["run"]), str(w["stage"]), str(w["state"])) for w in self.rig.meter.active()]

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until it holds, for as long as anything may take."""
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, (self.active(), holds)
            time.sleep(0.01)

    def until_active(self, *wanted: tuple[str, str, str]) -> None:
        self.until(lambda: self.active() == list(wanted))

    def listed_again(self) -> None:
        """Wait until all containers were listed and taken in once more."""
        seen = self.engine.listings
        self.until(lambda: self.engine.listings >= seen + 2)
