"""Where the joules of two runs differ: by stage, and within a stage by power and time, by tokens and joules per token.

A product's difference is split without a rest: the change of each factor times the mean of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from .numbers import amount
from .rows import Account, Row

# A part that is less than this of the whole difference explains nothing worth a sentence.
_TELLING_SHARE = 0.05


@dataclass(frozen=True)
class StageDifference:
    """What B used more than A in a stage, in joules; parts are None where a factor is not known on both sides.

    power + time = joules, and tokens + per_token = joules.
    """

    stage: str
    a_joules: float
    b_joules: float
    from_power: float | None
    from_time: float | None
    from_tokens: float | None
    from_per_token: float | None

    @property
    def joules(self) -> float:
        """B's joules less A's."""
        return self.b_joules - self.a_joules


@dataclass(frozen=True)
class Comparison:
    """Two runs, their totals and every stage that one of them has."""

    a: str
    b: str
    a_joules: float
    b_joules: float
    stages: tuple[StageDifference, ...]

    @property
    def joules(self) -> float:
        """B's joules less A's."""
        return self.b_joules - self.a_joules


def compare(a: Account, b: Account) -> Comparison:
    """The difference of B from A; the stages' differences add up to that of the runs."""
    stages = list(dict.fromkeys([*a.joules_by_stage(), *b.joules_by_stage()]))
    return Comparison(a.run, b.run, a.total.joules, b.total.joules, tuple(_difference(stage, a, b) for stage in stages))


def explained(comparison: Comparison) -> list[str]:
    """The comparison in sentences, the largest difference first."""
    whole = comparison.joules
    more = "more" if whole >= 0 else "less"
    times = f" ({comparison.b_joules / comparison.a_joules:.2f} times)" if comparison.a_joules else ""
    lines = [f"{comparison.b} used {amount(abs(whole))} {more} than {comparison.a}{times}."]
    largest = max((abs(one.joules) for one in comparison.stages), default=0.0)
    for one in sorted(comparison.stages, key=lambda one: -abs(one.joules)):
        if largest and abs(one.joules) >= _TELLING_SHARE * largest:
            lines.append(_sentence(one, comparison))
    return lines


def _sentence(one: StageDifference, comparison: Comparison) -> str:
    if not one.a_joules or not one.b_joules:
        only = comparison.b if one.b_joules else comparison.a
        return f"{one.stage}: {_signed(one.joules)}, as only {only} has it."
    parts = []
    if one.from_power is not None and one.from_time is not None:
        parts.append(f"{_signed(one.from_time)} from time and {_signed(one.from_power)} from power")
    if one.from_tokens is not None and one.from_per_token is not None:
        parts.append(f"{_signed(one.from_tokens)} from tokens and {_signed(one.from_per_token)} from joules per token")
    return f"{one.stage}: {_signed(one.joules)}" + (f": {'; or '.join(parts)}." if parts else ".")


def _difference(stage: str, a: Account, b: Account) -> StageDifference:
    one, other = _stage(a, stage), _stage(b, stage)
    power, time = _split(one[0], one[1], other[0], other[1])
    per_token, tokens = _split(one[0], one[2], other[0], other[2])
    return StageDifference(stage, one[0], other[0], power, time, tokens, per_token)


def _stage(account: Account, stage: str) -> tuple[float, float | None, float | None]:
    """Joules, seconds and tokens of a stage, phases together."""
    rows: list[Row] = [row for row in account.rows if row.stage == stage]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    return (
        sum(row.joules for row in rows),
        sum(seconds) if len(seconds) == len(rows) else None,
        sum(row.tokens for row in rows) or None,
    )


def _split(
    joules: float, amount: float | None, other_joules: float, other_amount: float | None
) -> tuple[float | None, float | None]:
    """The difference of joules = rate x amount in parts: what the rate did, what the amount did."""
    if not amount or not other_amount:
        return None, None
    rate, other_rate = joules / amount, other_joules / other_amount
    return (other_rate - rate) * (amount + other_amount) / 2, (other_amount - amount) * (rate + other_rate) / 2


def _signed(joules: float) -> str:
    return ("+" if joules >= 0 else "−") + amount(abs(joules))
