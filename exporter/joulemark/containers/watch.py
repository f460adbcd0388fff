"""The thread that follows a container engine: its events at once, all of its containers now and then."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator

from ..errors import EngineAway
from ..exposition.exposition import Sample
from .bookings import ContainerBookings
from .engine import Engine

log = logging.getLogger(__name__)

# How often everything is listed: so long may a missed event or a refused booking go unnoticed.
LIST_SECONDS = 5.0
RETRY_SECONDS = 2.0


class ContainerWatch(threading.Thread):
    """Keeps bookings in step with an engine, for as long as there is one; `connect` raises EngineAway."""

    def __init__(
        self,
        bookings: ContainerBookings,
        connect: Callable[[], Engine],
        *,
        list_seconds: float = LIST_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        super().__init__(name="joulemark-containers", daemon=True)
        self._bookings = bookings
        self._connect = connect
        self._list_seconds = list_seconds
        self._retry_seconds = retry_seconds
        self._changed: queue.Queue[str | EngineAway | None] = queue.Queue()
        self._stopped = threading.Event()
        self._up = False
        self._said = ""

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow(self._connect())
            except EngineAway as why:
                self._away(why)
            except Exception:
                log.exception("following the container engine failed; trying again")
                self._up = False
            self._stopped.wait(self._retry_seconds)

    def stop(self) -> None:
        """Stop; windows stay open, so that the next start goes on with them."""
        self._stopped.set()
        self._changed.put(None)

    def samples(self) -> Iterator[Sample]:
        """Whether the engine is followed, and what became of its containers."""
        yield "joulemark_docker_up", (), float(self._up)
        yield from self._bookings.samples()

    def _follow(self, engine: Engine) -> None:
        self._changed = queue.Queue()
        try:
            # The events first: what happens while the list is made is among them.
            changes = engine.changes()
            threading.Thread(target=_listen, args=(changes, self._changed), daemon=True).start()
            while not self._stopped.is_set():
                self._bookings.see_all(engine.containers())
                self._bookings.renew()
                self._here()
                self._take_changes(engine, time.monotonic() + self._list_seconds)
        finally:
            engine.close()

    def _take_changes(self, engine: Engine, until: float) -> None:
        """Look at each container as it changes."""
        while (left := until - time.monotonic()) > 0:
            try:
                changed = self._changed.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(changed, EngineAway):
                raise changed
            if changed is None:
                return
            self._bookings.see(changed, engine.container(changed))

    def _here(self) -> None:
        if not self._up:
            log.info("container engine is followed: labelled containers are booked")
        self._up, self._said = True, ""

    def _away(self, why: EngineAway) -> None:
        """Said once for each reason: an engine may be away for days."""
        if self._said != str(why):
            log.warning("%s. Trying again every %g s", why, self._retry_seconds)
        self._up, self._said = False, str(why)


def _listen(changes: Iterator[str], changed: queue.Queue[str | EngineAway | None]) -> None:
    """Pass every change on, and that there will be no more."""
    try:
        for container_id in changes:
            changed.put(container_id)
        changed.put(EngineAway("the container engine ended its stream of events"))
    except EngineAway as why:
        changed.put(why)
    except (ValueError, KeyError) as error:
        changed.put(EngineAway(f"the container engine's events cannot be read: {error!r}"))
