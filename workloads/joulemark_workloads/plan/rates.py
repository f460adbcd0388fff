"""Joules and seconds per token: measured here by earlier runs, else borrowed from a published table and named so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

import yaml

from ..config import Experiment
from ..errors import WorkloadError
from .sizes import student_parameters, teacher_parameters
from .steps import Step

_TABLE = Path(__file__).parent / "rates.yaml"
_EVALUATION = "evaluation"
# A model this many times larger or smaller than one that was measured is too unlike it to say anything.
_ALIKE = 4.0
# Which of a run's stages tell a rate: stage, phase (any where it is empty), kind of token.
_SEEN_IN = {
    "data": ("data", "", "prompt"),
    "logit_caching": ("teacher", "logit_caching", "cached"),
    "generation": ("teacher", "generation", "generated"),
    "training": ("student", "", "trained"),
}


class Rates(Protocol):
    """What steps take, and where that is known from."""

    source: str

    def joules(self, step: Step) -> float | None:
        """None where nothing alike is known."""

    def seconds(self, step: Step, /) -> float | None:
        """None where nothing alike is known."""


class Seen(NamedTuple):
    """One step of an earlier run: weights in billions, joules and seconds per token (of an evaluation, as a whole)."""

    work: str
    billions: float
    joules: float
    seconds: float


class MeasuredRates:
    """Of models of about the same size, in proportion to their weights."""

    def __init__(self, work_dir: Path, seen: list[Seen]) -> None:
        self.source = f"measured here, in {work_dir}"
        self._seen = seen

    def joules(self, step: Step) -> float | None:
        return self._scaled(step, [(seen, seen.joules) for seen in self._seen])

    def seconds(self, step: Step) -> float | None:
        return self._scaled(step, [(seen, seen.seconds) for seen in self._seen])

    @staticmethod
    def _scaled(step: Step, figures: list[tuple[Seen, float]]) -> float | None:
        billions = step.parameters / 1e9
        alike = []
        for seen, figure in figures:
            if seen.work == step.work and not billions:
                alike.append(figure)
            elif seen.work == step.work and 1 / _ALIKE <= billions / seen.billions <= _ALIKE:
                alike.append(figure * billions / seen.billions)
        return median(alike) * _times(step) if alike else None


class PublishedRates:
    """a + b x billions of weights."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.source = str(table["source"])
        self._table = table

    def joules(self, step: Step) -> float | None:
        line = self._table[step.work]
        return _times(step) * (float(line["a"]) + float(line["b"]) * step.parameters / 1e9)

    def seconds(self, _: Step) -> float | None:
        """The tables have none."""
        return None


def rates_for(experiment: Experiment, work_dir: Path) -> Rates | None:
    """Those measured in this work folder, else those of `hardware`; None where there are neither."""
    if experiment.hardware is not None:
        table: dict[str, Any] = yaml.safe_load(_TABLE.read_text())
        if experiment.hardware not in table:
            raise WorkloadError(
                f"hardware {experiment.hardware!r} is not in the table of rates: use {', '.join(table)} or none"
            )
        return PublishedRates(table[experiment.hardware])
    seen = [one for path in sorted((work_dir / "runs").glob("*/record.json")) for one in _seen(path)]
    return MeasuredRates(work_dir, seen) if seen else None


def _times(step: Step) -> int:
    return 1 if step.work == _EVALUATION else step.tokens


def _seen(path: Path) -> Iterator[Seen]:
    """The rates that one run's bill tells."""
    try:
        record = json.loads(path.read_text())
        experiment = Experiment.model_validate(record["config"], strict=False)
        student, teacher = student_parameters(experiment) / 1e9, teacher_parameters(experiment) / 1e9
        bill = [line for phase in record["phases"].values() for line in phase.get("bill", [])]
    except (OSError, ValueError, KeyError, WorkloadError):
        return
    for work, (stage, phase, kind) in _SEEN_IN.items():
        lines = [line for line in bill if line["stage"] == stage and phase in ("", line["phase"])]
        tokens = sum(line["tokens"].get(kind, 0) for line in lines)
        if tokens:
            weights = student if work == "training" else teacher
            yield Seen(work, weights, _sum(lines, "joules") / tokens, _sum(lines, "seconds") / tokens)
    lines = [line for line in bill if line["stage"] == "eval" and line["phase"] != "validation"]
    if lines:
        yield Seen(_EVALUATION, student, _sum(lines, "joules"), _sum(lines, "seconds"))


def _sum(lines: list[dict[str, Any]], name: str) -> float:
    return sum(float(line[name]) for line in lines)
