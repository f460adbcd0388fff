"""Records of runs from a Prometheus alone: what it has scraped of them, finished ones included.

Each exporter's ledger is a node. One that was scraped twice, or that moved to another address, is one node still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import promql
from .accounting import joined, joules_per_token, sum_if_whole
from .carbon import Intensity
from .cell import cell_of
from .factors import Factors
from .names import CANONICAL_STAGES
from .promql import LOOKBACK, Sample
from .run_record import RunRecord

StageKey = tuple[str, str, str]
_BY_STAGE = (
    "joulemark_energy_joules_total",
    "joulemark_power_integral_joules_total",
    "joulemark_stage_seconds_total",
    "joulemark_energy_uncertainty_joules",
    "joulemark_stage_tokens_total",
)
_BY_RUN = (
    "joulemark_run_info",
    "joulemark_run_cell_info",
    "joulemark_run_baseline_info",
    "joulemark_run_reference_info",
    "joulemark_run_score",
    "joulemark_run_reference_score",
    "joulemark_run_artifact",
    "joulemark_run_idle_power_watts",
)
_FACTORS = (
    "joulemark_pue_ratio",
    "joulemark_carbon_intensity_grams_per_kwh",
    "joulemark_electricity_price_per_kwh",
)
_FACTS = ("pipeline", "student", "teacher", "dataset")


@dataclass
class _Stage:
    joules: dict[str, float] = field(default_factory=dict)
    integral: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    bound: float | None = None


class Scraped:
    """What a Prometheus has of runs and devices, each node's samples once. Raises PromQLError."""

    def __init__(self, url: str, runs: Sequence[str] | None = None, lookback: str = LOOKBACK) -> None:
        matcher = 'run!=""' if runs is None else promql.run_matcher(runs)
        info = promql.latest(url, "joulemark_ledger_info", "", lookback)
        self._ledgers = {_target(labels): labels.get("ledger", "") for labels, _ in info}
        self._samples: dict[tuple[str, str, str], list[Sample]] = {}
        for metric in (*_BY_STAGE, *_BY_RUN) if runs != [] else ():
            for labels, value in self._once(promql.latest(url, metric, matcher, lookback)):
                self._samples.setdefault((metric, labels["node"], labels["run"]), []).append((labels, value))
        # An id says nothing to a reader, and which address a ledger had changes: nodes are numbered.
        nodes = sorted({node for _, node, _ in self._samples})
        self._names = {node: f"node{number}" for number, node in enumerate(nodes)}
        self._devices = {
            metric: list(self._once(promql.latest(url, metric, "", lookback)))
            for metric in ("joulemark_device_info", "joulemark_counter_tick_seconds")
        }
        self._factors = {metric: promql.latest(url, metric, "", lookback) for metric in _FACTORS}

    def records(self) -> dict[str, RunRecord]:
        """The runs; what was never scraped is absent. Instants are not known, nor peak watts."""
        told = sorted((node, run) for metric, node, run in self._samples if metric == _BY_STAGE[0])
        return joined((self._names[node], RunRecord.from_json(_record(self, node, run))) for node, run in told)

    def devices(self) -> list[dict[str, Any]]:
        """The devices, named as in the records: device, source, model, driver, tick_seconds (None: not known)."""
        ticks = {self._device(labels): value for labels, value in self._devices["joulemark_counter_tick_seconds"]}
        return [
            {
                "device": self._device(labels),
                **{name: labels.get(name, "") for name in ("source", "model", "driver")},
                "tick_seconds": ticks.get(self._device(labels)),
            }
            for labels, _ in self._devices["joulemark_device_info"]
        ]

    def factors(self) -> Factors:
        """What the exporters are configured with; a factor in which they differ, or that none has, is not given."""
        pue, grid, price = (_one([(value, labels) for labels, value in self._factors[name]]) for name in _FACTORS)
        return Factors(
            pue[0] if pue else 1.0,
            Intensity(grid[1].get("zone", ""), grid[0], grid[1].get("source", "")) if grid else None,
            price[0] if price else None,
            price[1].get("currency") if price else None,
        )

    def of(self, metric: str, node: str, run: str) -> list[Sample]:
        """The samples of a metric that a node has of a run."""
        return self._samples.get((metric, node, run), [])

    def _device(self, labels: Mapping[str, str]) -> str:
        node = self._names.get(labels["node"], labels["node"])
        return f"{node}/{labels.get('device', '')}" if len(self._names) > 1 else labels.get("device", "")

    def _once(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Each series of a ledger once: the higher value is the later one, as counters only go up."""
        found: dict[tuple[tuple[str, str], ...], float] = {}
        for labels, value in samples:
            kept = {name: text for name, text in labels.items() if name not in ("__name__", "job", "instance")}
            kept["node"] = self._ledgers.get(_target(labels)) or labels.get("instance", "")
            key = tuple(sorted(kept.items()))
            found[key] = max(value, found.get(key, value))
        return ((dict(key), value) for key, value in found.items())


def stage_joules(records: Iterable[RunRecord]) -> dict[StageKey, float]:
    """Joules by (run, stage, phase), all nodes together."""
    joules: dict[StageKey, float] = {}
    for record in records:
        for stage in record.stages:
            key = (record.run, stage.stage, stage.phase)
            joules[key] = joules.get(key, 0.0) + stage.joules
    return joules


def _record(scraped: Scraped, node: str, run: str) -> dict[str, Any]:
    """The record of a run on one node, in the form of `GET /api/v1/runs/{run}`."""
    stages = [_stage(stage, phase, found) for (stage, phase), found in _stages(scraped, node, run).items()]
    info = [labels for labels, _ in scraped.of("joulemark_run_info", node, run)]
    facts: dict[str, str] = max(info, key=lambda labels: sum(map(len, labels.values())), default={})
    cell = _only(scraped, "joulemark_run_cell_info", node, run)
    references = {labels["benchmark"]: v for labels, v in scraped.of("joulemark_run_reference_score", node, run)}
    return {
        "run": run,
        **{name: facts.get(name) or None for name in _FACTS},
        "origin": facts.get("origin"),
        "seed": _whole(cell.get("seed", "")),
        "labels": _labels(facts, cell.get("cell", "")),
        "baseline": _only(scraped, "joulemark_run_baseline_info", node, run).get("baseline") or None,
        "reference": _only(scraped, "joulemark_run_reference_info", node, run).get("reference") or None,
        "idle_watts": {one["device"]: v for one, v in scraped.of("joulemark_run_idle_power_watts", node, run)} or None,
        "joules": sum(stage["joules"] for stage in stages),
        "uncertainty_joules": sum_if_whole(stage["uncertainty_joules"] for stage in stages),
        "seconds": sum_if_whole(stage["seconds"] for stage in stages),
        "stages": stages,
        "scores": [
            {"benchmark": labels["benchmark"], "score": value, "reference": references.get(labels["benchmark"])}
            for labels, value in scraped.of("joulemark_run_score", node, run)
        ],
        "artifacts": [
            {name: labels.get(name, "") for name in ("artifact", "kind", "role")}
            for labels, _ in scraped.of("joulemark_run_artifact", node, run)
        ],
    }  # fmt: skip


def _labels(facts: Mapping[str, str], cell: str) -> dict[str, str]:
    """A run's labels, as the name of its cell tells them; the whole name where it tells them only in part."""
    pairs = [pair.partition("=") for pair in cell.split(" | ")[len(_FACTS) :]]
    labels = {name: text for name, _, text in pairs}
    whole = cell_of({**facts, "labels": labels}) == cell
    return labels if whole or not cell else {"cell": cell}


def _stages(scraped: Scraped, node: str, run: str) -> dict[tuple[str, str], _Stage]:
    """What is known of each stage and phase of a run on one node."""
    stages: dict[tuple[str, str], _Stage] = {}

    def rows(metric: str) -> Iterator[tuple[_Stage, Mapping[str, str], float]]:
        for labels, value in scraped.of(metric, node, run):
            key = (labels.get("stage", ""), labels.get("phase", ""))
            yield stages.setdefault(key, _Stage()), labels, value

    for stage, labels, value in rows("joulemark_energy_joules_total"):
        stage.joules[labels.get("device", "")] = value
    for stage, labels, value in rows("joulemark_power_integral_joules_total"):
        stage.integral[labels.get("device", "")] = value
    for stage, labels, value in rows("joulemark_stage_tokens_total"):
        stage.tokens[labels.get("kind", "")] = round(value)
    for stage, _, value in rows("joulemark_stage_seconds_total"):
        stage.seconds = value
    for stage, _, value in rows("joulemark_energy_uncertainty_joules"):
        stage.bound = value
    return {key: stages[key] for key in sorted(stages, key=_order)}


def _stage(stage: str, phase: str, found: _Stage) -> dict[str, Any]:
    joules = sum(found.joules.values())
    return {
        "stage": stage,
        "phase": phase,
        "seconds": found.seconds,
        "joules": joules,
        "uncertainty_joules": found.bound,
        "joules_by_device": found.joules,
        "power_integral_joules": sum(found.integral.values()) if found.integral else None,
        "power_integral_joules_by_device": found.integral,
        "tokens": found.tokens,
        "joules_per_token": joules_per_token(joules, found.tokens),
        "mean_watts": joules / found.seconds if found.seconds else None,
        "peak_watts": None,
        "windows": 0,
    }


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    """The order of a pipeline, stages of one's own after it."""
    place = CANONICAL_STAGES.index(key[0]) if key[0] in CANONICAL_STAGES else len(CANONICAL_STAGES)
    return place, *key


def _one(found: Iterable[tuple[float, dict[str, str]]]) -> tuple[float, dict[str, str]] | None:
    """The value with its labels, None where there is none or more than one."""
    said = {
        (value, tuple(labels.get(name, "") for name in ("zone", "source", "currency"))): labels
        for value, labels in found
    }
    return next(((value, labels) for (value, _), labels in said.items()), None) if len(said) == 1 else None


def _only(scraped: Scraped, metric: str, node: str, run: str) -> Mapping[str, str]:
    return next((labels for labels, _ in scraped.of(metric, node, run)), {})


def _target(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _whole(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None
