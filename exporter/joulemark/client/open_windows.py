"""The windows of one run's stages: which are open, which still have to be ended; for the thread that speaks.

The exporter keeps one stack of windows for a run, so a stage that is entered while another is open lies on top of it,
be it on another thread or task; the one entered last is the one that is booked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import ClientError, ExporterAway
from .line import Line
from .misses import Misses
from .summary import Summary
from .voice import Entered
from .window import Window


class OpenWindows:
    """In the order of entering; `inside` says that a process around this one holds a window of the same run."""

    def __init__(self, line: Line, misses: Misses, *, inside: bool) -> None:
        self._line, self._misses, self._inside = line, misses, inside
        self._lock = threading.Lock()
        self._open: dict[Entered, Window] = {}
        self._late: list[Window] = []
        # Other ranks may tell what they counted in these a moment later.
        self._ended: deque[Window] = deque(maxlen=64)

    def add(self, entered: Entered, window: Window) -> None:
        """A stage was entered."""
        with self._lock:
            self._open[entered] = window

    def take(self, entered: Entered) -> Window | None:
        """A stage was left; None when it was before."""
        with self._lock:
            window = self._open.pop(entered, None)
        if window is not None:
            window.leave()
        return window

    def entered(self) -> list[Entered]:
        """The stages that are open, oldest first."""
        with self._lock:
            return list(self._open)

    def begin(self, window: Window) -> str:
        """Open it on top of what is open."""
        others = any(other.id is not None for other in self._windows() if other is not window)
        return window.begin(nest=others or self._lies_on_another(window))

    def end(self, window: Window) -> Summary | None:
        """End it. The exporter ends those on top of it with it: they begin anew, as their stages go on."""
        summary = window.end()
        if window.id is None:
            self._misses.tokens += window.untold_tokens()
        self._ended.append(window)
        for other in self._windows():
            if other.id is not None:
                self._try(partial(other.renew, nest=self._lies_on_another(other), also_ended=True))
        return summary

    def miss_begin(self, window: Window, error: ClientError) -> None:
        """It could not begin when its stage did; it will when the exporter lets it."""
        self._misses.transitions += 1
        window.faults.append(f"it began without a window: {error}")

    def miss_end(self, window: Window, error: ClientError) -> None:
        """It could not end when its stage did."""
        self._misses.transitions += 1
        window.faults.append(f"it ended without the exporter: {error}")
        self._late.append(window)

    def end_later(self, window: Window) -> None:
        """End it at the next occasion."""
        self._late.append(window)

    def catch_up(self) -> None:
        """End what is late, begin what could not begin, renew the rest; raises ExporterAway."""
        for window in list(self._late):
            if self._try(partial(self.end, window)):
                self._late.remove(window)
        windows = self._windows()
        for number, window in enumerate(windows):
            # One that lies below an open one cannot begin without ending that.
            if window.id is not None or not any(other.id for other in windows[number + 1 :]):
                self._try(partial(window.renew, nest=self._lies_on_another(window)))
        for window in self._ended:
            self._try(window.tell_late_tokens)

    def drop(self) -> None:
        """The run ends: what is still to be ended is left to its lease."""
        for window in self._late:
            window.give_up()
        self._late.clear()

    def _windows(self) -> list[Window]:
        with self._lock:
            return list(self._open.values())

    def _lies_on_another(self, window: Window) -> bool:
        windows = self._windows()
        return self._inside or not windows or windows[0] is not window

    def _try(self, call: Callable[[], Any]) -> bool:
        try:
            call()
        except ExporterAway:
            raise
        except ClientError as error:
            self._line.complain(error)
            return False
        return True
