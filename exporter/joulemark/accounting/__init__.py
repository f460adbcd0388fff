"""What follows from joules: pure arithmetic on records of runs, no clock, disk or network.

`docs/accounting.md` defines every figure. Data flows: RunRecord -> reuse, quality, breakeven, pareto -> figures.
"""

from .breakeven import REASONS, Breakeven, Reason
from .figures import RunFigures, figures_of, stage_seconds
from .formulas import (
    JOULES_PER_KWH,
    agreement_percent,
    co2e_grams,
    cost,
    joules_per_token,
    kilowatt_hours,
    mean_if_whole,
    quality,
    run_joules_per_token,
    share,
    stage_tokens,
    sum_if_whole,
    teacher_joules,
)
from .nodes import joined
from .pareto import Point, dominates, frontier, pareto_optimal
from .quality import Quality
from .repeats import CellKey, Spread, cells_of
from .reuse import ACCOUNTINGS, AMORTIZED, AS_RUN, ONE_OFF, Artifact, Bill, artifacts_of

__all__ = [
    "ACCOUNTINGS",
    "AMORTIZED",
    "AS_RUN",
    "JOULES_PER_KWH",
    "ONE_OFF",
    "REASONS",
    "Artifact",
    "Bill",
    "Breakeven",
    "CellKey",
    "Point",
    "Quality",
    "Reason",
    "RunFigures",
    "Spread",
    "agreement_percent",
    "artifacts_of",
    "cells_of",
    "co2e_grams",
    "cost",
    "dominates",
    "figures_of",
    "frontier",
    "joined",
    "joules_per_token",
    "kilowatt_hours",
    "mean_if_whole",
    "pareto_optimal",
    "quality",
    "run_joules_per_token",
    "share",
    "stage_seconds",
    "stage_tokens",
    "sum_if_whole",
    "teacher_joules",
]
