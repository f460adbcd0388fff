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

    def __bool__(self) -> bool:
        return bool(self._found)

    def take(self, most: int | None = None) -> list[tuple[Found, float]]:
        """All of them, or so many of the oldest, to be booked."""
        if most is None or len(self._found) <= most:
            found, self._found, self._seconds = self._found, [], 0.0
        else:
            found, self._found = self._found[:most], self._found[most:]
            self._seconds -= sum([one.seconds for one, _ in found])
        return found

    @property
    def long(self) -> bool:
        """Whether it took long to make them."""
        return self._seconds >= _LONG_SECONDS
