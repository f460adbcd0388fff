"""Reads devices without letting a slow or hung one hold up the others.

Calls into a driver may take 50 ms, or never return. So they are made by worker threads that take devices from one
queue: quick devices one after another by one worker, slow ones side by side. Whoever asked waits only so long; a
device whose call has not returned is left alone until it does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .errors import ReadFailed
from .sources.base import Device, Reading, Source, Vitals

log = logging.getLogger(__name__)

# One worker reads on for so long before another joins it.
_WORKER_SECONDS = 0.003
_MOST_WORKERS = 64


@dataclass(frozen=True)
class Look:
    """What is wanted of a device: its counter, and its power gauge or its vitals where they are asked for."""

    device: Device
    source: Source
    power: bool = True
    vitals: bool = False


@dataclass(frozen=True)
class Found:
    """What came of a look, and how long the reading took in seconds."""

    device: Device
    outcome: Reading | ReadFailed
    seconds: float
    vitals: Vitals | None = None


Sink = Callable[[Found], None]


class InlineReader:
    """Reads in the caller's own thread: for clocks that move only when told."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def read(self, looks: Iterable[Look], patience: float = 0.0) -> None:
        """Read all of them, one after another."""
        del patience
        for look in looks:
            self._sink(_make(look))

    def hung(self, seconds: float) -> Mapping[str, float]:
        """Nothing hangs that was waited for."""
        del seconds
        return {}

    def close(self) -> None:
        return None


class ThreadedReader:
    """Reads by worker threads; `sink` is called in theirs."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._changed = threading.Condition()
        self._queue: deque[Look] = deque()
        self._busy: dict[str, float] = {}
        self._expected: dict[str, float] = {}
        self._workers = 0
        self._idle = 0
        self._closed = False

    def read(self, looks: Iterable[Look], patience: float) -> None:
        """Have devices read and wait for them, `patience` seconds at most."""
        deadline = time.monotonic() + patience
        with self._changed:
            queued = {look.device.key for look in self._queue}
            keys = set()
            for look in looks:
                keys.add(look.device.key)
                if look.device.key not in self._busy and look.device.key not in queued:
                    self._queue.append(look)
            seconds = sum(self._expected.get(look.device.key, 0.0) for look in self._queue)
            self._staff(min(len(self._queue), max(1, math.ceil(seconds / _WORKER_SECONDS))))
            while any(key in self._busy for key in keys) or any(look.device.key in keys for look in self._queue):
                left = deadline - time.monotonic()
                if left <= 0:
                    # Whoever holds the queue up is stuck in a call: somebody else must go on with the rest.
                    self._staff(len(self._queue))
                    return
                self._changed.wait(left)

    def hung(self, seconds: float) -> Mapping[str, float]:
        """The devices whose call has not returned for so long, with the time since it was made."""
        now = time.monotonic()
        with self._changed:
            return {key: now - since for key, since in self._busy.items() if now - since > seconds}

    def close(self) -> None:
        """Let the workers go; one that is stuck in a call goes when that returns."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _staff(self, wanted: int) -> None:
        """Wake so many workers, or hire them."""
        for _ in range(min(wanted - self._idle, _MOST_WORKERS - self._workers)):
            self._workers += 1
            threading.Thread(target=self._work, name=f"joulemark-reader-{self._workers}", daemon=True).start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._queue and not self._closed:
                    self._changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                look = self._queue.popleft()
                key = look.device.key
                self._busy[key] = time.monotonic()
            try:
                found = _make(look)
                self._sink(found)
                known = self._expected.get(key, found.seconds)
                self._expected[key] = known + 0.2 * (found.seconds - known)
            except Exception:
                log.exception("device=%s reading could not be booked; going on", look.device.name)
            finally:
                with self._changed:
                    del self._busy[key]
                    self._changed.notify_all()


Reader = InlineReader | ThreadedReader


def _make(look: Look) -> Found:
    began = time.perf_counter()
    outcome: Reading | ReadFailed
    try:
        outcome = look.source.read(look.device, power=look.power)
    except ReadFailed as error:
        outcome = error
    seconds = time.perf_counter() - began
    vitals = look.source.vitals(look.device) if look.vitals and isinstance(outcome, Reading) else None
    return Found(look.device, outcome, seconds, vitals)
