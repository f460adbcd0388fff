"""How long stages held devices: windows of one stage side by side are one stretch of its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .changes import Changes
from .windows import SeriesKey, Totals, Window


class StageTime:
    """Counts the seconds of windows and of their series."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._counted_until: dict[SeriesKey, float] = {}

    def count(self, windows: Iterable[Window], steady: float) -> None:
        """Bring the seconds of all windows that are open up to date."""
        by_key: dict[SeriesKey, list[Window]] = defaultdict(list)
        for window in windows:
            by_key[window.key].append(window)
        for key, side_by_side in by_key.items():
            self._count_stretch(key, side_by_side, steady)
        self._counted_until = {key: at for key, at in self._counted_until.items() if key in by_key}

    def count_of(self, key: SeriesKey, windows: Iterable[Window], steady: float) -> None:
        """Bring the seconds of one stage up to date; `windows` are all that are open."""
        self._count_stretch(key, [window for window in windows if window.key == key], steady)

    def _count_stretch(self, key: SeriesKey, windows: list[Window], steady: float) -> None:
        totals = self._changes.state.series.setdefault(key, Totals())
        running = [window for window in windows if window.running_since is not None]
        for window in sorted(running, key=lambda window: window.running_since or 0.0):
            since = max(window.running_since or 0.0, self._counted_until.get(key, float("-inf")))
            if window.run_for(steady):
                totals.seconds += max(0.0, steady - since)
                self._counted_until[key] = max(since, steady)
                self._changes.of_window(window)
