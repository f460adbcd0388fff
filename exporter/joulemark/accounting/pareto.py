"""The frontier, in any number of axes. Paper (arXiv 2605.13981), Protocol: figures drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Energy, quality, and where wanted throughput.
Point = tuple[float, ...]


def pareto_optimal(points: Sequence[Point]) -> list[bool]:
    """Which points are on the frontier: the first axis (energy) down, all others (quality, throughput) up, ties kept.

    A point is dominated when another is no worse in every axis and better in one.
    """
    return [not any(dominates(other, point) for other in points) for point in points]


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is no worse than `other` in every axis and better in one."""
    no_worse = one[0] <= other[0] and all(a >= b for a, b in zip(one[1:], other[1:], strict=True))
    return no_worse and one != other


def frontier(points: Mapping[str, tuple[str, Point]]) -> dict[str, bool]:
    """By name whether a point is on the frontier of the points of its origin; `points` are (origin, axes)."""
    flags: dict[str, bool] = {}
    for wanted in {origin for origin, _ in points.values()}:
        own = {name: point for name, (origin, point) in points.items() if origin == wanted}
        flags.update(zip(own, pareto_optimal(list(own.values())), strict=True))
    return flags
