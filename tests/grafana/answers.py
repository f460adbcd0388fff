"""Asks a real Prometheus everything that a board asks, as Grafana would for a screen of one width."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from board_files import Asked, defaults, queries, substituted

# Points across the screen.
POINTS = 120


@dataclass(frozen=True)
class TimeRange:
    """The time that a board shows: so many seconds until `end`, in Unix seconds."""

    end: float
    seconds: int


@dataclass
class Answers:
    """What Prometheus answered to one board, by place and refId."""

    name: str
    board: Mapping[str, Any]
    values: Mapping[str, str]
    end: float
    seconds: int
    step: int
    data: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def of_panel(self, panel: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Answers by refId of one panel."""
        return {target["refId"]: self.data[panel["title"], target["refId"]] for target in panel["targets"]}


def last_hour() -> TimeRange:
    """What a board shows at first."""
    return TimeRange(time.time(), 3600)


def ask(http: httpx.Client, name: str, board: Mapping[str, Any], shown: TimeRange, **chosen: str) -> Answers:
    """All that the board asks of the time `shown`, with its variables as they are at first but for `chosen`."""
    values = {**defaults(board), **chosen}
    answers = Answers(name, board, values, shown.end, shown.seconds, max(1, shown.seconds // POINTS))
    for asked in queries(name, board):
        answers.data[asked.place, asked.ref_id] = _answer(http, asked, answers)
    return answers


def _answer(http: httpx.Client, asked: Asked, about: Answers) -> dict[str, Any]:
    # Four scrapes of a second at least, as $__rate_interval has it.
    text = substituted(asked.expr, about.values, seconds=about.seconds, rate_seconds=max(4, about.step))
    if asked.instant:
        answer = http.post("/api/v1/query", data={"query": text, "time": about.end})
    else:
        end = about.end // about.step * about.step
        span = {"start": end - about.seconds, "end": end, "step": about.step}
        answer = http.post("/api/v1/query_range", data={"query": text, **span})
    found = answer.json()
    assert found["status"] == "success", (asked.key, text, found)
    assert not found.get("warnings"), (asked.key, found["warnings"])
    result: dict[str, Any] = found["data"]
    return result
