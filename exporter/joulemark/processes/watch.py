"""The thread that looks now and then who computes on the GPUs; a scrape gets what was seen last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pynvml

from ..exposition.exposition import Sample
from .on_gpus import processes_by_uuid
from .owner import owner_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
# More processes than this on one GPU are counted but not named: /metrics stays bounded.
NAMED = 64


class ProcessWatch(threading.Thread):
    """`names` gives the exporter's name of each GPU by its UUID; only those are looked at."""

    def __init__(
        self,
        names: Callable[[], Mapping[str, str]],
        *,
        proc: Path = Path("/proc"),
        look: Callable[[], dict[str, list[int]]] = processes_by_uuid,
    ) -> None:
        super().__init__(name="joulemark-processes", daemon=True)
        self._names = names
        self._proc = proc
        self._look = look
        self._stopped = threading.Event()
        self._samples: tuple[Sample, ...] = ()
        self._said = ""

    def run(self) -> None:
        while True:
            self.look()
            if self._stopped.wait(LOOK_SECONDS):
                return

    def stop(self) -> None:
        """Stop; a look in progress is not waited for, as a driver may be stuck in it."""
        self._stopped.set()

    def look(self) -> None:
        """Look once; what cannot be seen is absent from /metrics, and said once."""
        try:
            found = self._look()
        except pynvml.NVMLError as error:
            self._samples = ()
            if self._said != str(error):
                log.warning("processes on the GPUs cannot be listed: %s", error)
            self._said = str(error)
            return
        self._said = ""
        names = self._names()
        self._samples = tuple(x for uuid in found if uuid in names for x in self._of(names[uuid], uuid, found[uuid]))

    def samples(self) -> tuple[Sample, ...]:
        """What was seen last."""
        return self._samples

    def _of(self, device: str, uuid: str, pids: list[int]) -> Iterator[Sample]:
        yield "joulemark_device_processes", (device,), float(len(pids))
        for pid in pids[:NAMED]:
            owner = owner_of(pid, self._proc)
            yield "joulemark_device_process_info", (device, uuid, str(pid), owner.kind, owner.name), 1.0
