"""Edges of sampled power that come again in step with the samples: what they leave unknown does not average out."""

from __future__ import annotations

import math

# Edges are of one wave where they differ by no more than this part of their height.
_ALIKE = 0.25
# Edges nearer than so many samples are not of a wave whose shape the samples show.
_RESOLVED = 3.0
_SQRT12 = math.sqrt(12.0)


class _Edges:
    """The edges upwards, or those downwards."""

    def __init__(self) -> None:
        self._at, self._height = -math.inf, 0.0
        # The time from edge to edge, None before two of them.
        self._apart: float | None = None
        # What those in a row that came in step leave unknown together, in joules.
        self._together = 0.0

    def see(self, at: float, height: float, seconds: float) -> float:
        apart, alike = at - self._at, abs(height - self._height) <= _ALIKE * height
        if apart <= _RESOLVED * seconds:
            # A slope, or too fast a wave.
            alike = False
        in_step = self._apart is None or abs(apart - self._apart) < seconds / 2
        self._apart = apart if alike else None
        self._at, self._height = at, height
        alone = height * seconds / _SQRT12
        before = self._together if alike and in_step else 0.0
        self._together = before + alone
        # One instant within a sample, unknown alike, is that of all of them: no further off than sqrt(3) deviations.
        return 2 * before * alone / 3


class RegularEdges:
    """Power that steps up and down in step with the samples, so that each edge lies alike between two of them."""

    def __init__(self) -> None:
        self._up, self._down = _Edges(), _Edges()

    def see(self, at: float, step: float, seconds: float) -> float:
        """Take a step in watts between two samples; returns the variance in joules squared beside that of it alone."""
        if not step:
            return 0.0
        return (self._up if step > 0 else self._down).see(at, abs(step), seconds)
