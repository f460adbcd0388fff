"""What of a run was not booked when it happened, and for how long; the words for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Misses:
    """Counted by the thread that speaks; times are in seconds."""

    transitions: int = 0
    # Stages were open so long without a window, and windows so long without their stage.
    unbooked_seconds: float = 0.0
    overrun_seconds: float = 0.0
    # Scores, artifacts and declarations that were dropped.
    records: int = 0
    tokens: int = 0

    def report(self, run: str) -> str:
        """One line for the end of a run; empty when everything was booked."""
        parts = []
        if self.transitions:
            parts.append(f"{self.transitions} transitions were not booked when they happened")
        if self.unbooked_seconds >= 0.1:
            parts.append(f"stages were open for {self.unbooked_seconds:.1f} s without a window: that energy is missing")
        if self.overrun_seconds >= 0.1:
            parts.append(f"windows stay open {self.overrun_seconds:.1f} s too long: that energy is theirs wrongly")
        if self.records:
            parts.append(f"{self.records} scores, artifacts or declarations were not kept")
        if self.tokens:
            parts.append(f"{self.tokens:,} tokens were not counted")
        return f"joulemark: run {run}: {'; '.join(parts)}" if parts else ""
