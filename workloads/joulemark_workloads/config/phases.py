"""The phases of a run, in their order."""

from __future__ import annotations

from .sections import Pipeline

PHASES = ("prerun", "data", "teacher", "student", "eval")


def phases_of(pipeline: Pipeline) -> tuple[str, ...]:
    """The phases that a pipeline has: plain fine-tuning has no teacher."""
    return tuple(phase for phase in PHASES if phase != "teacher" or pipeline != "sft")
