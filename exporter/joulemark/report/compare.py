"""Where the joules of two runs differ: by stage, and within a stage by power and time, by tokens and joules per token.

A product's difference is split without a rest: the change of each factor times the mean of the other. The bound of a
difference is the sum of both bounds, as bounds of stages add up to that of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..accounting import sum_if_whole
from .numbers import amount
from .rows import Account, Row

# A part that is less than this of the whole difference explains nothing worth a sentence.
_TELLING_SHARE = 0.05
# What is said of a difference that may as well be none, or of the other sign.
_OPEN = ", no more than its bound: it may be none."


@dataclass(frozen=True)
class StageDifference:
    """What B used more than A in a stage, in joules; parts are None where a factor is not known on both sides.

    power + time = joules, and tokens + per_token = joules. A bound is 0 where the run lacks the stage, None where it is
    not known.
    """

    stage: str
    a_joules: float
    b_joules: float
    a_uncertainty_joules: float | None
    b_uncertainty_joules: float | None
    from_power: float | None
    from_time: float | None
    from_tokens: float | None
    from_per_token: float | None
    from_power_uncertainty_joules: float | None
    from_time_uncertainty_joules: float | None
    from_tokens_uncertainty_joules: float | None
    from_per_token_uncertainty_joules: float | None

    @property
    def joules(self) -> float:
        """B's joules less A's."""
        return self.b_joules - self.a_joules

    @property
    def uncertainty_joules(self) -> float | None:
        """The bound of that difference."""
        return sum_if_whole([self.a_uncertainty_joules, self.b_uncertainty_joules])


@dataclass(frozen=True)
class Comparison:
    """Two runs, their totals with bounds in joules, and every stage that one of them has."""

    a: str
    b: str
    a_joules: float
    b_joules: float
    a_uncertainty_joules: float | None
    b_uncertainty_joules: float | None
    stages: tuple[StageDifference, ...]

    @property
    def joules(self) -> float:
        """B's joules less A's."""
        return self.b_joules - self.a_joules

    @property
    def uncertainty_joules(self) -> float | None:
        """The bound of that difference."""
        return sum_if_whole([self.a_uncertainty_joules, self.b_uncertainty_joules])


class _Stage(NamedTuple):
    """A stage of a run, phases together: joules and their bound, seconds and tokens where they are known."""

    joules: float
    bound: float | None
    seconds: float | None
    tokens: float | None


class _Part(NamedTuple):
    """A part of a difference with its bound, in joules; None where it is not known."""

    joules: float | None = None
    bound: float | None = None


def compare(a: Account, b: Account) -> Comparison:
    """The difference of B from A; the stages' differences add up to that of the runs."""
    stages = list(dict.fromkeys([*a.joules_by_stage(), *b.joules_by_stage()]))
    totals = (a.total.joules, b.total.joules, a.total.uncertainty_joules, b.total.uncertainty_joules)
    return Comparison(a.run, b.run, *totals, tuple(_difference(stage, a, b) for stage in stages))


def explained(comparison: Comparison) -> list[str]:
    """The comparison in sentences, the largest difference first."""
    whole = comparison.joules
    more = "more" if whole >= 0 else "less"
    times = f" ({comparison.b_joules / comparison.a_joules:.2f} times)" if comparison.a_joules else ""
    size = amount(abs(whole), comparison.uncertainty_joules)
    end = _OPEN if _is_open(comparison) else "."
    lines = [f"{comparison.b} used {size} {more} than {comparison.a}{times}{end}"]
    largest = max((abs(one.joules) for one in comparison.stages), default=0.0)
    for one in sorted(comparison.stages, key=lambda one: -abs(one.joules)):
        if largest and abs(one.joules) >= _TELLING_SHARE * largest:
            lines.append(_sentence(one, comparison))
    return lines


def _sentence(one: StageDifference, comparison: Comparison) -> str:
    if not one.a_joules or not one.b_joules:
        only = comparison.b if one.b_joules else comparison.a
        return f"{one.stage}: {_signed(one.joules, one.uncertainty_joules)}, as only {only} has it."
    if _is_open(one):
        return f"{one.stage}: {_signed(one.joules, one.uncertainty_joules)}{_OPEN}"
    parts = []
    if one.from_power is not None and one.from_time is not None:
        time = _signed(one.from_time, one.from_time_uncertainty_joules)
        parts.append(f"{time} from time and {_signed(one.from_power, one.from_power_uncertainty_joules)} from power")
    if one.from_tokens is not None and one.from_per_token is not None:
        per_token = _signed(one.from_per_token, one.from_per_token_uncertainty_joules)
        tokens = _signed(one.from_tokens, one.from_tokens_uncertainty_joules)
        parts.append(f"{tokens} from tokens and {per_token} from joules per token")
    size = _signed(one.joules, one.uncertainty_joules)
    return f"{one.stage}: {size}" + (f": {'; or '.join(parts)}." if parts else ".")


def _difference(stage: str, a: Account, b: Account) -> StageDifference:
    one, other = _stage(a, stage), _stage(b, stage)
    power, time = _split(one, one.seconds, other, other.seconds)
    per_token, tokens = _split(one, one.tokens, other, other.tokens)
    parts = (power, time, tokens, per_token)
    joules, bounds = (part.joules for part in parts), (part.bound for part in parts)
    return StageDifference(stage, one.joules, other.joules, one.bound, other.bound, *joules, *bounds)


def _stage(account: Account, stage: str) -> _Stage:
    rows: list[Row] = [row for row in account.rows if row.stage == stage]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    return _Stage(
        sum(row.joules for row in rows),
        sum_if_whole([0.0, *(row.uncertainty_joules for row in rows)]),
        sum(seconds) if len(seconds) == len(rows) else None,
        sum(row.tokens for row in rows) or None,
    )


def _split(one: _Stage, amount: float | None, other: _Stage, other_amount: float | None) -> tuple[_Part, _Part]:
    """The difference of joules = rate x amount in parts: what the rate did, what the amount did.

    Amounts are known: the bound of a rate is that of its joules over the amount, and both rates' are in each part.
    """
    if not amount or not other_amount:
        return _Part(), _Part()
    rate, other_rate = one.joules / amount, other.joules / other_amount
    mean, change = (amount + other_amount) / 2, other_amount - amount
    doubt = None
    if one.bound is not None and other.bound is not None:
        doubt = one.bound / amount + other.bound / other_amount
    return (
        _Part((other_rate - rate) * mean, None if doubt is None else doubt * mean),
        _Part(change * (rate + other_rate) / 2, None if doubt is None else doubt * abs(change) / 2),
    )


def _is_open(one: StageDifference | Comparison) -> bool:
    """Whether the difference is no larger than its bound."""
    bound = one.uncertainty_joules or 0.0
    return bound > 0 and abs(one.joules) <= bound


def _signed(joules: float, bound: float | None) -> str:
    return ("+" if joules >= 0 else "−") + amount(abs(joules), bound)
