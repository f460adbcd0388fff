"""Was it worth it: the run to compare with, and from where on a run's extra energy is won back.

`docs/accounting.md` defines N* and T* and the reasons for which one is absent. Energy is in joules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..run_record import RunRecord
from .reuse import Bill

Reason = Literal[
    "no_teacher", "unknown_artifact", "no_student", "no_baseline", "no_extra_energy", "no_serving", "no_reference",
    "not_cheaper",
]  # fmt: skip
REASONS: Mapping[str, str] = {
    "no_teacher": "no teacher energy: there is nothing to share",
    "unknown_artifact": "it consumed an artifact that no known run made",
    "no_student": "it has no energy of stage student",
    "no_baseline": "no baseline is declared or found, or that has no energy of stage student",
    "no_extra_energy": "it cost no more than its baseline to begin with",
    "no_serving": "its serving was not measured (stage eval, phase serving, generated tokens)",
    "no_reference": "the serving of its reference was not measured",
    "not_cheaper": "it uses no less than what it is compared with",
}


@dataclass(frozen=True)
class Breakeven:
    """Where extra energy is won back: students (N*) or served tokens (T*); without a value the reason is given."""

    value: float | None
    reason: Reason | None

    @classmethod
    def over(cls, extra: float, saved: float) -> Breakeven:
        """extra / saved, or `not_cheaper` where nothing is saved."""
        return cls(extra / saved, None) if saved > 0 else cls(None, "not_cheaper")


def baselines_of(record: RunRecord, records: Mapping[str, RunRecord]) -> list[RunRecord]:
    """The run that it declares, else the sft runs of its student, data set and origin; never the run itself."""
    if record.baseline:
        declared = records.get(record.baseline)
        return [declared] if declared and declared.run != record.run else []
    if record.pipeline == "sft" or not record.student:
        return []
    return [
        other
        for other in records.values()
        if other.pipeline == "sft"
        and other.run != record.run
        and (other.student, other.dataset or "", other.origin) == (record.student, record.dataset or "", record.origin)
    ]


def stage_joules(record: RunRecord, stage: str) -> float:
    """Joules of a stage, all its phases and nodes."""
    return sum(one.joules for one in record.stages if one.stage == stage)


def breakeven_reuses(record: RunRecord, bill: Bill, baselines: Sequence[RunRecord]) -> Breakeven:
    """N* = E_teacher / (E_student of the baseline - E_student of the run). Paper, Protocol."""
    own = stage_joules(record, "student")
    theirs = [joules for joules in (stage_joules(other, "student") for other in baselines) if joules > 0]
    if bill.teacher_joules is None:
        return Breakeven(None, "unknown_artifact")
    if bill.teacher_joules <= 0:
        return Breakeven(None, "no_teacher")
    if own <= 0:
        return Breakeven(None, "no_student")
    if not theirs:
        return Breakeven(None, "no_baseline")
    return Breakeven.over(bill.teacher_joules, sum(theirs) / len(theirs) - own)


def breakeven_tokens(
    record: RunRecord, bill: Bill, baseline_bills: Sequence[Bill], records: Mapping[str, RunRecord]
) -> Breakeven:
    """T* = extra training energy / (j_ref - j_student), in generated tokens. Paper, Protocol.

    `baseline_bills` are those of baselines with a student stage; the extra is one_off less their mean one_off.
    """
    theirs = [one.one_off for one in baseline_bills if one.one_off is not None]
    if bill.one_off is None or len(theirs) < len(baseline_bills):
        return Breakeven(None, "unknown_artifact")
    if stage_joules(record, "student") <= 0:
        return Breakeven(None, "no_student")
    if not theirs:
        return Breakeven(None, "no_baseline")
    extra = bill.one_off - sum(theirs) / len(theirs)
    if extra <= 0:
        return Breakeven(None, "no_extra_energy")
    student, reference = serving_joules_per_token([record]), reference_joules_per_token(record, records)
    if student is None:
        return Breakeven(None, "no_serving")
    return Breakeven(None, "no_reference") if reference is None else Breakeven.over(extra, reference - student)


def serving_joules_per_token(records: Sequence[RunRecord]) -> float | None:
    """Joules over generated tokens of stage eval, phase serving, all these runs together; None without tokens."""
    stages = [one for record in records for one in record.stages if (one.stage, one.phase) == ("eval", "serving")]
    tokens = sum(stage.tokens.get("generated", 0) for stage in stages)
    return sum(stage.joules for stage in stages) / tokens if tokens else None


def reference_joules_per_token(record: RunRecord, records: Mapping[str, RunRecord]) -> float | None:
    """Serving of the declared reference or the teacher: the run of that name, else the runs of that model."""
    wanted = record.reference or record.teacher
    if not wanted or wanted == record.run:
        return None
    if wanted in records:
        return serving_joules_per_token([records[wanted]])
    of_model = [r for r in records.values() if (r.student, r.origin) == (wanted, record.origin) and r.run != record.run]
    return serving_joules_per_token(of_model)
