"""Sampled power integrated: the second estimator, and the first where there is no counter.

Between two samples of one stage power is taken as linear. Across a stage boundary it is not: power changes when the
stage does, but a gauge shows that only at its next refresh (an averaged gauge only when the average holds nothing of
the old stage). So the power before is held up to the boundary, and the first sample that tells of the new stage is
held back to it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from ..sources.base import Reading
from .edges import RegularEdges
from .gauge import Gauge
from .recent_power import MAX_BRIDGE_SECONDS, RecentPower

# How much power is taken to vary where a single sample tells it.
_LONE_VARIATION = 0.15

# Samples further apart than so many refreshes have missed some, in which power may have been anything.
_MISSED = 3.0
# A sample that differs from both of its neighbours, each nearer than so many refreshes, does not show how power varied.
_RESOLVED = 3.0
# How much of that is error: all of it where power is noise, little where it is a regular wave, which averages out.
_UNRESOLVED = 0.25
# So many refreshes may lie between two that come unevenly.
_UNEVEN = 1.5
# How much later or earlier than its stage a load changes, as a standard deviation: samples do not show it.
_LAG_SECONDS = 0.0012

Holders = tuple[str, ...]


class Slice(NamedTuple):
    """Energy of one stretch under one set of holders, its variance in joules squared.

    `late` is the variance of what was drawn before it that samples never told.
    """

    begin: float
    end: float
    holders: Holders
    joules: float
    variance: float
    late: float = 0.0

    def after(self, instant: float) -> Slice | None:
        """The part of it after an instant, None where there is none."""
        if self.end <= instant:
            return None
        if self.begin >= instant:
            return self
        part = (self.end - instant) / (self.end - self.begin)
        return Slice(instant, self.end, self.holders, self.joules * part, self.variance * part, self.late)


class _Sample(NamedTuple):
    at: float
    watts: float
    # Whether `at` is the refresh itself, and not just some instant until the next one.
    placed: bool = False


class PowerIntegral:
    """Integrates the samples of one gauge.

    `refresh` is the time between refreshes of the gauge, `averaging` the length over which it averages, in seconds.
    """

    def __init__(self, holders: Holders = (), *, refresh: float = 0.1, averaging: float = 0.0) -> None:
        self.refresh = refresh
        # The time between two samples that differ, at least.
        self.sampled = refresh
        self.averaging = averaging
        self._holders = holders
        self._last: _Sample | None = None
        self._ahead: deque[_Sample] = deque()
        self._boundaries: deque[tuple[float, Holders]] = deque()
        # Mean square of the steps between samples, of the stage before the latest boundary and of this one.
        self._step_square_before = self._step_square = 0.0
        self._steps = 0
        # The latest of these steps in watts, and when it ended.
        self._step, self._stepped = 0.0, -math.inf
        self._edges = RegularEdges()
        # The least and the highest power that told of this stage alone, and by how much it rose where samples were not
        # placed.
        self._least = self._highest = self._rose = 0.0
        # When it began, and whether it has shown another value since.
        self._began, self._told = -math.inf, False
        # How long the gauge's latest call took.
        self._call_seconds = 0.0
        # The highest power ever seen, in watts.
        self._most = 0.0
        self.recent = RecentPower()

    @property
    def waiting(self) -> bool:
        """Whether a boundary waits for a sample that tells of the stage after it."""
        return bool(self._boundaries) and self._last is not None

    @property
    def until(self) -> float | None:
        """Up to when power is integrated; None before the first sample and after a hole."""
        return self._last.at if self._last else None

    @property
    def variations(self) -> tuple[float, float]:
        """How much power varied in the stage before and in this one: standard deviations in watts."""
        return math.sqrt(self._step_square_before / 2), math.sqrt(self._step_square / 2)

    @property
    def late_variance(self) -> float:
        """Variance in joules squared of what samples that are shown late have not told yet of this stage.

        What the stage began with stands for longer than it was drawn, what it has come to for less. An average is late
        by half of its length, of a ramp exactly: else what it shows lies somewhere in what it has shown. A sample whose
        refresh was not placed is late by a quarter of the time between two, more or less, of what power rose meanwhile.
        """
        if self._last is None:
            return 0.0
        return (self.averaging / 4 * (self._highest - self._least) + self.refresh / 4 * abs(self._rose)) ** 2

    def hand_over(self, at: float, holders: Holders) -> None:
        """From an instant on, the device is held by others; not before any earlier boundary."""
        self.recent.hand_over(at)
        if self._last is None:
            self._holders = holders
        else:
            at = max(at, self._last.at)
            if self._boundaries and self._boundaries[-1][0] == at:
                self._boundaries.pop()
            self._boundaries.append((at, holders))

    def lose(self) -> list[Slice]:
        """Samples were missed: book what is known, and do not bridge the hole."""
        slices = self.flush()
        self._last = None
        return slices

    def sample(self, gauge: Gauge, reading: Reading) -> list[Slice]:
        """Take the power of a reading, placed where its gauge stands for it; returns the slices known now."""
        if reading.watts is None:
            return []
        if not reading.sensor:
            self.recent.see_mean(reading.steady, reading.watts)
            return []
        # It is of the middle of its call.
        self._call_seconds = 2 * (reading.steady - reading.end)
        shown = gauge.see(reading.steady, reading.watts)
        self.refresh, self.sampled = gauge.refresh, gauge.between_changes
        if shown is None:
            return []
        at, placed = shown
        watts, last = reading.watts, self._last
        self.recent.see(at, watts, since=at - self._late(placed=placed))
        if last is None or self._ahead or self._boundaries or not 0 < at - last.at <= MAX_BRIDGE_SECONDS:
            return self.see(at, watts, placed=placed)
        # As nearly always: nothing waits, so that this sample tells all up to it.
        if watts > self._most:
            self._most = watts
        return [self._between(last, _Sample(at, watts, placed))]

    def see(self, at: float, watts: float, *, placed: bool = False) -> list[Slice]:
        """Take a sample; returns the slices that are known now. `placed`: the gauge was refreshed at this instant."""
        newest = self._ahead[-1] if self._ahead else self._last
        self._most = max(self._most, watts)
        slices: list[Slice] = []
        # Readings this far apart may stand for instants that are a refresh further.
        if newest is not None and at - newest.at > MAX_BRIDGE_SECONDS + 2 * self.refresh:
            slices = self.lose()
        if newest is None or self._last is None:
            self._begin_at(_Sample(at, watts, placed), at)
            return slices
        if at <= newest.at:
            return slices
        self._ahead.append(_Sample(at, watts, placed))
        return slices + self._advance(force=False)

    def flush(self) -> list[Slice]:
        """Book up to the newest sample, with boundaries that still waited for a sample decided by what is known."""
        slices = self._advance(force=True)
        while self._boundaries:
            self._holders = self._boundaries.popleft()[1]
        return slices

    def _advance(self, *, force: bool) -> list[Slice]:
        slices: list[Slice] = []
        while self._ahead and self._last is not None:
            if not self._boundaries or self._boundaries[0][0] > self._ahead[0].at:
                slices.append(self._between(self._last, self._ahead.popleft()))
                continue
            found = self._across(self._last, force=force)
            if found is None:
                break
            slices += found
        return slices

    def _between(self, a: _Sample, b: _Sample) -> Slice:
        self._last = b
        seconds, step = b.at - a.at, b.watts - a.watts
        if b.watts < self._least:
            self._least = b.watts
        elif b.watts > self._highest:
            self._highest = b.watts
        if not b.placed:
            self._rose += step
        self._steps += 1
        self._step_square += max(0.05, 1 / self._steps) * (step * step - self._step_square)
        # A step somewhere between two samples: even chances for its instant. And refreshes that were missed.
        variance = (step * seconds) ** 2 / 12 + (self._unresolved(b.at, step) if step else 0.0) + self._missed(seconds)
        variance += self._edges.see(b.at, step, seconds) + (0.0 if self._told else self._held_back(a.at, step))
        return Slice(a.at, b.at, self._holders, (a.watts + b.watts) / 2 * seconds, variance)

    def _held_back(self, at: float, step: float) -> float:
        """Variance in joules squared of a beginning that one value told, by how far the next differs from it.

        Up to then it may have been one of before, shown still.
        """
        held, self._told = at - self._began, bool(step)
        return (step * held) ** 2 / 2 if held < _UNEVEN * self.refresh else 0.0

    def _begin_at(self, sample: _Sample, began: float) -> None:
        """A stage that began at an instant is sampled from here on."""
        self._last, self._began, self._told = sample, began, False
        self._least = self._highest = sample.watts
        self._rose, self._edges = 0.0, RegularEdges()

    def _unresolved(self, at: float, step: float) -> float:
        """Variance in joules squared of power that goes up and down from one refresh to the next.

        It varies faster than it is sampled: what a sample shows is not what its time was like.
        """
        seconds, before = at - self._stepped, self._step
        self._step, self._stepped = step, at
        return _UNRESOLVED * max(0.0, -step * before) * seconds**2 if seconds < _RESOLVED * self.sampled else 0.0

    def _across(self, a: _Sample, *, force: bool) -> list[Slice] | None:
        """The two slices around the first boundary; None while no sample tells of the stage after it."""
        boundary, holders = self._boundaries[0]
        ends = self._boundaries[1][0] if len(self._boundaries) > 1 else math.inf
        telling = next((s for s in self._ahead if self._tells(s, boundary, a) and s.at <= ends), None)
        newest = self._ahead[-1]
        if telling is None and newest.at < ends and not force:
            return None
        stop = telling.at if telling else min(newest.at, ends)
        inside = [s for s in self._ahead if s.at <= stop]
        after = (telling or (inside[-1] if inside else a)).watts
        self._boundaries.popleft()
        varied = self._step_square
        step = after - a.watts
        doubt = _doubt(a.watts, boundary - a.at, varied) + self._misplaced(step, boundary - a.at)
        before_slice = Slice(a.at, boundary, self._holders, a.watts * (boundary - a.at), doubt, self.late_variance)
        # One sample tells a power but not how much it varies.
        lone = (_LONE_VARIATION * after) ** 2 if telling else max(after, a.watts) ** 2
        doubt = _doubt(after, stop - boundary, lone) + self._missed(stop - boundary - self.averaging)
        doubt += self._misplaced(step, stop - boundary)
        after_slice = Slice(boundary, stop, holders, after * (stop - boundary), doubt)
        self._step_square_before, self._step_square, self._steps = self._step_square, 0.0, 0
        self._holders = holders
        self._begin_at(_Sample(max(stop, boundary), after), boundary if telling else stop)
        while self._ahead and self._ahead[0].at <= stop:
            self._ahead.popleft()
        return [before_slice, after_slice]

    def _misplaced(self, step: float, seconds: float) -> float:
        """Variance in joules squared of a step next to a boundary, for the calls that told of it and for a load's lag.

        The samples before and after it were each taken at any instant of their call alike.
        """
        return (step * min(self._call_seconds, seconds)) ** 2 / 6 + (step * min(_LAG_SECONDS, seconds)) ** 2

    def _missed(self, seconds: float) -> float:
        """Variance in joules squared of what refreshes would have told that nobody looked at for so long."""
        missed = seconds - _MISSED * self.refresh
        return (self._most * missed / 2) ** 2 if missed > 0 else 0.0

    def _late(self, *, placed: bool) -> float:
        """How far before its instant a sample may tell of, in seconds."""
        return self.averaging + (0.0 if placed else self.refresh / 2)

    def _tells(self, sample: _Sample, boundary: float, before: _Sample) -> bool:
        """Whether a sample was surely refreshed after the boundary."""
        if sample.at >= boundary + self._late(placed=sample.placed):
            return True
        if sample.placed:
            return False
        shown = next((s.watts for s in self._ahead if s.at >= boundary), before.watts)
        return not self.averaging and sample.at > boundary and sample.watts != shown


def _doubt(watts: float, seconds: float, varied: float) -> float:
    """Variance in joules squared of a power held for so long that varies by `varied` (watts squared)."""
    return (varied + (0.02 * watts) ** 2) * seconds**2 + (0.0003 * watts) ** 2
