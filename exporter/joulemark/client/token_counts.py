"""Token counts of one stage, added to from any thread."""

from __future__ import annotations

import os
import threading

from ..names import check_token_kind

# One lock for all: it is held for an addition only. A forked child gets a new one, as somebody may have held it.
_adding = threading.Lock()


def _renew_lock() -> None:
    global _adding
    _adding = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class TokenCounts:
    """Counts by kind that only go up."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, counts: dict[str, int]) -> None:
        """Add by kind; raises InvalidField for a kind that is none, ValueError for less than nothing."""
        for kind, count in counts.items():
            check_token_kind(kind)
            if count < 0:
                raise ValueError(f"add_tokens({kind}={count}): counts only go up")
        with _adding:
            for kind, count in counts.items():
                self._counts[kind] = self._counts.get(kind, 0) + count

    def now(self) -> dict[str, int]:
        """A copy, as whole numbers whatever kind of number was added."""
        with _adding:
            return {kind: int(count) for kind, count in self._counts.items()}
