"""Whether a counter still refreshes at its beat: that it stands still between two ticks, and moves with each of them.

What readings at other times show fits a beat of half the time, or of the double, as well. So now and then looks are
made where they tell: after a tick and before the next one, and then after each of two ticks. What they show is judged
with all other readings, when they are taken (`ticks.py`); here is only known which of them have been made.
"""

from __future__ import annotations

import math

from .ticks import TickTracker

# So often the beat is proven; sooner, in ticks, where it is in doubt.
_PROOF_SECONDS, _DOUBTED_TICKS = 30.0, 5
# Where looks come too late to tell, they are given up until the next time after so many seconds, or ticks.
_PATIENCE_SECONDS, _PATIENCE_TICKS = 1.0, 5
# Of two ticks one is there even if only every other one is.
_TICKS = 2


class BeatProof:
    """Which looks of a proof were made; `gap_seen` says that those between two ticks were.

    `since` is when the one that is under way began, None while none is.
    """

    def __init__(self, ticks: TickTracker) -> None:
        self._ticks = ticks
        self.gap_seen = False
        self._ticks_seen = 0
        self.since: float | None = None
        # When the latest ended, or was given up: learning it was one.
        self._proven_at: float | None = None
        # When the latest look ended, and the latest one just after a tick.
        self._looked = self._after_tick = -math.inf

    def wants_looks(self, now: float) -> bool:
        """Whether the beat, which must be known, is to be proven now; begins a proof when it is time for one."""
        patience = max(_PATIENCE_SECONDS, _PATIENCE_TICKS * self._ticks.seconds)
        wait = _DOUBTED_TICKS * self._ticks.seconds if self._ticks.is_doubted(now) else _PROOF_SECONDS
        if self._proven_at is None:
            self._proven_at = now
        if self.since is None and now - self._proven_at > wait:
            self.since = now
        elif self.since is not None and now - self.since > patience:
            self._end(now)
        return self.since is not None

    def look(self, begin: float, end: float) -> None:
        """One more look of the one that is under way, made between two instants."""
        before, self._looked = self._looked, end
        if not self._ticks.locked:
            self._end(end)
            return
        if not self.gap_seen:
            self.gap_seen = self._ticks.spans_gap(self._after_tick, begin)
            if self._ticks.is_just_after(end):
                self._after_tick = end
        elif self._ticks.spans_tick(before, begin):
            self._ticks_seen += 1
            if self._ticks_seen == _TICKS:
                self._end(end)

    def _end(self, at: float) -> None:
        self._proven_at, self.since = at, None
        self.gap_seen, self._ticks_seen = False, 0
