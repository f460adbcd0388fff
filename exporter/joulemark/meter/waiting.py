"""Readings that wait to be booked together."""

from __future__ import annotations

from .reader import Found

# Readings that took so long to make are not waited with: to book them costs little beside it.
_LONG_SECONDS = 0.03


class Waiting:
    """What was read and is not booked yet, with its wall clock, in the order in which it came. Not thread-safe.

    Many at a time cost far less: each for itself would find the processor's caches cold.
    """

    def __init__(self) -> None:
        self._found: list[tuple[Found, float]] = []
        self._seconds = 0.0

    def add(self, found: Found, wall: float) -> None:
        """One more, read at an instant of the wall clock."""
        self._found.append((found, wall))
        self._seconds += found.seconds

    def take(self) -> list[tuple[Found, float]]:
        """All of them, to be booked."""
        found, self._found, self._seconds = self._found, [], 0.0
        return found

    @property
    def long(self) -> bool:
        """Whether it took long to make them."""
        return self._seconds >= _LONG_SECONDS
