"""A run's full accounting, as `GET /api/v1/runs/{run}` gives it: typed, checked once at the edge, then frozen.

A field that is missing or of the wrong kind raises RecordError and names its path; an unknown one is left out, so
that an older reader understands a newer exporter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import JoulemarkError

ORIGINS = ("measured", "modelled", "published")


class RecordError(JoulemarkError):
    """A record that is not of the expected shape; the message names the field and the remedy."""


@dataclass(frozen=True)
class StageRecord:
    """One stage and phase of a run on one node, all its windows together. Joules are the counter's estimate.

    `power_integral_joules` is the second estimator, in all and by device; None and empty where no device has one.
    Imported energy has no bound
    that is known here, and seconds only where its source says them.
    """

    stage: str
    phase: str
    seconds: float | None
    joules: float
    uncertainty_joules: float | None
    joules_by_device: Mapping[str, float]
    power_integral_joules: float | None
    tokens: Mapping[str, int]
    joules_per_token: float | None
    mean_watts: float | None
    peak_watts: float | None
    windows: int
    power_integral_joules_by_device: Mapping[str, float] = field(default_factory=dict)
    node: str = ""

    @classmethod
    def from_json(cls, data: object, where: str) -> StageRecord:
        """Read one element of `stages`; `where` is its path for the error message."""
        fields = _Fields(data, where)
        return cls(
            stage=fields.text("stage"),
            phase=fields.text("phase"),
            seconds=fields.optional_number("seconds"),
            joules=fields.number("joules"),
            uncertainty_joules=fields.optional_number("uncertainty_joules"),
            joules_by_device=fields.numbers("joules_by_device"),
            power_integral_joules=fields.optional_number("power_integral_joules"),
            tokens=fields.counts("tokens"),
            joules_per_token=fields.optional_number("joules_per_token"),
            mean_watts=fields.optional_number("mean_watts"),
            peak_watts=fields.optional_number("peak_watts"),
            windows=fields.count("windows"),
            power_integral_joules_by_device=fields.optional_numbers("power_integral_joules_by_device"),
            node=fields.optional_text("node") or "",
        )


@dataclass(frozen=True)
class ScoreRecord:
    """A benchmark score; `reference` is the teacher's, `n` the number of items, `stderr` the standard error."""

    benchmark: str
    score: float
    reference: float | None = None
    n: int | None = None
    stderr: float | None = None

    @classmethod
    def from_json(cls, data: object, where: str) -> ScoreRecord:
        """Read one element of `scores`."""
        fields = _Fields(data, where)
        n = None if fields.get("n") is None else fields.count("n")
        return cls(
            fields.text("benchmark"),
            fields.number("score"),
            fields.optional_number("reference"),
            n,
            fields.optional_number("stderr"),
        )


@dataclass(frozen=True)
class ArtifactRecord:
    """Something that a run produced or consumed, named by its content; this is how energy is inherited."""

    artifact: str
    kind: str
    role: str

    @classmethod
    def from_json(cls, data: object, where: str) -> ArtifactRecord:
        """Read one element of `artifacts`."""
        fields = _Fields(data, where)
        return cls(fields.text("artifact"), fields.text("kind"), fields.one_of("role", ("produced", "consumed")))


@dataclass(frozen=True)
class RunRecord:
    """Everything that is known about one run. Instants are Unix seconds, None where Prometheus alone was asked."""

    run: str
    origin: str
    created_at: float | None
    last_active_at: float | None
    joules: float
    uncertainty_joules: float | None
    seconds: float | None
    stages: tuple[StageRecord, ...]
    scores: tuple[ScoreRecord, ...]
    artifacts: tuple[ArtifactRecord, ...]
    labels: Mapping[str, str]
    pipeline: str | None = None
    student: str | None = None
    teacher: str | None = None
    dataset: str | None = None
    seed: int | None = None
    baseline: str | None = None
    reference: str | None = None
    idle_watts: Mapping[str, float] | None = None

    @classmethod
    def from_json(cls, data: object) -> RunRecord:
        """Read a record; raises RecordError naming the field that does not fit."""
        name = data.get("run") if isinstance(data, Mapping) else None
        fields = _Fields(data, f"record of run {name!r}")
        return cls(
            run=fields.text("run"),
            origin=fields.one_of("origin", ORIGINS),
            created_at=fields.optional_number("created_at"),
            last_active_at=fields.optional_number("last_active_at"),
            joules=fields.number("joules"),
            uncertainty_joules=fields.optional_number("uncertainty_joules"),
            seconds=fields.optional_number("seconds"),
            stages=tuple(StageRecord.from_json(*item) for item in fields.items("stages")),
            scores=tuple(ScoreRecord.from_json(*item) for item in fields.items("scores")),
            artifacts=tuple(ArtifactRecord.from_json(*item) for item in fields.items("artifacts")),
            labels=fields.texts("labels"),
            pipeline=fields.optional_text("pipeline"),
            student=fields.optional_text("student"),
            teacher=fields.optional_text("teacher"),
            dataset=fields.optional_text("dataset"),
            baseline=fields.optional_text("baseline"),
            reference=fields.optional_text("reference"),
            seed=None if fields.get("seed") is None else fields.whole("seed"),
            idle_watts=None if fields.get("idle_watts") is None else fields.numbers("idle_watts"),
        )

    def to_json(self) -> dict[str, Any]:
        """The record as `GET /api/v1/runs/{run}` gives it."""
        data = asdict(self)
        for key in ("stages", "scores", "artifacts"):
            data[key] = list(data[key])
        return data


class _Fields:
    """The fields of one JSON object, each read as what it must be."""

    def __init__(self, data: object, where: str) -> None:
        self.where = where
        if not isinstance(data, Mapping):
            raise self._wrong("", data, "an object")
        self.data: Mapping[str, object] = data

    def get(self, key: str) -> object:
        return self.data.get(key)

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, value, "text")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.get(key) is None else self.text(key)

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self.get(key)
        if not isinstance(value, str) or value not in known:
            raise self._wrong(key, value, "one of " + ", ".join(known))
        return value

    def number(self, key: str) -> float:
        return self._number(key, self.get(key))

    def optional_number(self, key: str) -> float | None:
        return None if self.get(key) is None else self.number(key)

    def whole(self, key: str) -> int:
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, value, "a whole number")
        return value

    def count(self, key: str) -> int:
        return self._count(key, self.get(key))

    def numbers(self, key: str) -> dict[str, float]:
        return {name: self._number(f"{key}[{name}]", value) for name, value in self._mapping(key).items()}

    def optional_numbers(self, key: str) -> dict[str, float]:
        return {} if self.get(key) is None else self.numbers(key)

    def counts(self, key: str) -> dict[str, int]:
        return {name: self._count(f"{key}[{name}]", value) for name, value in self._mapping(key).items()}

    def texts(self, key: str) -> dict[str, str]:
        mapping = self._mapping(key)
        for name, value in mapping.items():
            if not isinstance(value, str):
                raise self._wrong(f"{key}[{name}]", value, "text")
        return {name: str(value) for name, value in mapping.items()}

    def items(self, key: str) -> list[tuple[object, str]]:
        """The elements of a list, each with its path."""
        value = self.get(key)
        if not isinstance(value, list | tuple):
            raise self._wrong(key, value, "a list")
        return [(item, f"{self.where}, {key}[{index}]") for index, item in enumerate(value)]

    def _mapping(self, key: str) -> Mapping[str, object]:
        value = self.get(key)
        if not isinstance(value, Mapping):
            raise self._wrong(key, value, "an object")
        return value

    def _number(self, key: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self._wrong(key, value, "a finite number")
        return float(value)

    def _count(self, key: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key, value, "a whole number from 0 on")
        return value

    def _wrong(self, key: str, value: object, expected: str) -> RecordError:
        found = "missing" if value is None else f"{value!r}"[:60]
        path = f"{self.where}: {key}" if key else self.where
        return RecordError(
            f"{path} is {found}, not {expected}: read it from an exporter or ledger of this version of joulemark"
        )
