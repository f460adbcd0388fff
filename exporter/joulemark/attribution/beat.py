"""The even beat of a counter's refreshes: phase and period by a Kalman filter, and how even its ticks are."""

from __future__ import annotations

import math

# A beat whose ticks are less even, or less well known, than this part of the period says nothing.
USEFUL = 0.13
# Relative drift of the period from tick to tick that is allowed for.
_DRIFT = 2e-6
# No look sees a tick better than with this variance, in seconds squared.
_LEAST_SIGHT = 1e-14
# The weight of the latest tick in how even ticks are.
_NEW_TICK = 0.1
# A tick between looks further apart than this tells nothing of how even ticks are: in seconds, and parts of the period.
_SHARP_SECONDS, _SHARP = 0.001, 0.04


class Beat:
    """Ticks at an even `period`, all in seconds; `jitter` is the standard deviation of one tick around the beat."""

    def __init__(
        self, phase: float, period: float, jitter_square: float, variances: tuple[float, float, float]
    ) -> None:
        self.phase, self.period = phase, period
        # Variances of phase and period, and their covariance.
        self._pp, self._pt, self._tt = variances
        self._jitter_square = jitter_square
        self.jitter = math.sqrt(max(0.0, jitter_square))

    def since_tick(self, at: float) -> float:
        """Seconds from the latest tick to an instant."""
        return (at - self.phase) % self.period

    def tick_at(self, until: float) -> float:
        """The latest tick up to an instant."""
        return self.phase + math.floor((until - self.phase) / self.period) * self.period

    def drift(self, at: float) -> float:
        """Standard deviation of the beat itself around an instant, without the jitter of its ticks, in seconds."""
        n = (at - self.phase) / self.period
        square = self._pp + 2 * n * self._pt + n * n * self._tt
        return math.sqrt(square) if square > 0 else 0.0

    def deviation(self, at: float) -> float:
        """Standard deviation of a tick around an instant, in seconds."""
        return math.hypot(self.drift(at), self.jitter)

    def update(self, seen: float, width: float, predicted: float) -> tuple[float, float]:
        """Kalman step with a tick seen in a bracket around `seen`.

        Returns its instant by beat and sight together, and the standard deviation of that, in seconds.
        """
        n = round((predicted - self.phase) / self.period)
        tt = self._tt + (_DRIFT * self.period) ** 2 * max(1, abs(n))
        pt = self._pt + n * self._tt
        pp = self._pp + 2 * n * self._pt + n * n * self._tt
        sight = max(width * width / 12, _LEAST_SIGHT)
        residual = seen - predicted
        if width < _SHARP_SECONDS + _SHARP * self.period:
            told = sight + self.jitter**2
            # The less is known of the beat itself, the less a tick tells of how even ticks are.
            weight = _NEW_TICK * (told / (told + pp)) ** 2
            self._jitter_square += weight * (residual * residual - sight - pp - self._jitter_square)
            self.jitter = math.sqrt(max(0.0, self._jitter_square))
        noise = sight + self.jitter**2
        gain_p, gain_t = pp / (pp + noise), pt / (pp + noise)
        self.phase = predicted + gain_p * residual
        self.period += gain_t * residual
        self._pp, self._pt, self._tt = pp * (1 - gain_p), pt * (1 - gain_p), tt - gain_t * pt
        # This tick itself: the beat's word, with its jitter, against what was seen of it.
        beat = pp + self.jitter**2
        return predicted + beat / (beat + sight) * residual, math.sqrt(beat * sight / (beat + sight))
