"""A counter that starts again at 0 after its range goes on instead, where that is certain."""

from __future__ import annotations


class CounterRange:
    """Follows the values of one counter; `shown` is what it had come to, in joules, where it is read on."""

    def __init__(self, shown: float | None = None) -> None:
        self._shown = shown
        self._raw: float | None = None
        self._offset = 0.0

    def unwrapped(self, raw: float, wrap: float | None, gained_at_most: float | None) -> float:
        """The value in joules without its wraps; what it may have gained since it was booked is None if not known."""
        if self._raw is None and self._shown is not None:
            self._raw = self._shown % wrap if wrap else self._shown
            self._offset = self._shown - self._raw
        if wrap and self._raw is not None and raw < self._raw and (gained_at_most is None or gained_at_most < wrap):
            self._offset += wrap
        self._raw = raw
        return raw + self._offset

    def beyond(self, raw: float, wrap: float | None) -> float:
        """How far a value to come is beyond the latest, in joules; 0 where it is not."""
        if self._raw is None:
            return 0.0
        more = raw - self._raw
        return max(0.0, more + wrap if wrap and more < 0 else more)
