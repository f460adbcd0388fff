"""The formulas of the accounting, pure and in one place; sources are named in each docstring.

Energy is in joules, time in seconds, shares and quality are ratios. "Paper" is arXiv 2605.13981.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

JOULES_PER_KWH = 3.6e6
TEACHER_STAGE = "teacher"


def kilowatt_hours(joules: float) -> float:
    """Kilowatt-hours of so many joules: 1 kWh = 3.6e6 J. Paper, Protocol."""
    return joules / JOULES_PER_KWH


def stage_tokens(tokens: Mapping[str, int]) -> int:
    """The tokens that a stage is judged by: all kinds but prompt, or prompt where it handled nothing else."""
    return sum(count for kind, count in tokens.items() if kind != "prompt") or tokens.get("prompt", 0)


def joules_per_token(joules: float, tokens: Mapping[str, int]) -> float | None:
    """Joules per token of a stage, over its own tokens; None without tokens. Paper, Protocol: E / N_tokens."""
    count = stage_tokens(tokens)
    return joules / count if count else None


def run_joules_per_token(joules: float, trained_tokens: int) -> float | None:
    """Joules per token of a run: its total over the student's trained tokens; None without. Paper, Grid."""
    return joules / trained_tokens if trained_tokens else None


def quality(scores: Sequence[tuple[float, float | None]]) -> float | None:
    """Q, the mean of score / reference with equal weights; None without any reference. Paper, Protocol.

    `scores` holds (score, teacher's score); a benchmark that the teacher scores 0 on says nothing and is left out.
    """
    ratios = [score / reference for score, reference in scores if reference]
    return sum(ratios) / len(ratios) if ratios else None


def share(part: float, whole: float) -> float | None:
    """Part of the whole, 0 to 1; None of nothing."""
    return part / whole if whole > 0 else None


def teacher_joules(stages: Iterable[tuple[str, float]]) -> float:
    """Joules spent on the teacher's side, from (stage, joules): E_teacher. Paper, Protocol."""
    return sum(joules for stage, joules in stages if stage == TEACHER_STAGE)


def agreement_percent(one: float, other: float) -> float:
    """How far two figures of the same thing agree, in percent: the smaller over the larger, 100 when equal."""
    larger = max(one, other)
    return 100.0 if larger == 0 else 100.0 * (min(one, other) / larger)


def co2e_grams(joules: float, pue: float, grams_per_kwh: float) -> float:
    """Grams of CO2e: E * PUE * g. Derived, never measured. Paper, Protocol."""
    return kilowatt_hours(joules) * pue * grams_per_kwh


def cost(joules: float, pue: float, price_per_kwh: float) -> float:
    """What the energy cost, the building's share included, in the currency of the price."""
    return kilowatt_hours(joules) * pue * price_per_kwh


def sum_if_whole(values: Iterable[float | None]) -> float | None:
    """The sum; None of nothing, and where a part is not known: part of a run must not pass for all of it."""
    parts = list(values)
    known = [value for value in parts if value is not None]
    return sum(known) if known and len(known) == len(parts) else None


def mean_if_whole(values: Iterable[float | None]) -> float | None:
    """The mean; None of nothing, and where a part is not known."""
    parts = list(values)
    whole = sum_if_whole(parts)
    return None if whole is None else whole / len(parts)
