"""Callers of an exporter that is killed under them: each knows what it was answered, and asks again what it was not."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field

from .exporter import Exporter, Unanswered

STAGES = ("data", "teacher", "student", "eval")


@dataclass
class Answered:
    """What a caller was answered: windows by idempotency key, those it ended, their tokens, scores."""

    windows: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    tokens: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


class Caller(threading.Thread):
    """One training job on a device of its own; it goes on through the exporter's deaths until it is stopped."""

    def __init__(self, exporter: Exporter, number: int, seed: int) -> None:
        super().__init__(name=f"caller-{number}", daemon=True)
        self.run_name = f"run-{number}"
        self.answered = Answered()
        self._exporter = exporter
        self._device = f"gpu{number}"
        self._random = random.Random(f"{seed}.{number}")
        self._open = ""
        self._count = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            step = self._random.choice((self._switch, self._switch, self._beat, self._beat, self._end, self._score))
            step()
            time.sleep(self._random.uniform(0, 0.02))

    def stop(self) -> None:
        """Stop after the step in progress, which is asked for until it is answered."""
        self._stopped.set()
        self.join(timeout=60)

    def _switch(self) -> None:
        key = uuid.uuid4().hex
        body = {"run": self.run_name, "stage": self._random.choice(STAGES), "devices": [self._device]}
        if self._random.random() < 0.5:
            body["ttl_seconds"] = 60  # type: ignore[assignment]
        answer = self._until_answered("PUT", "/api/v1/stage", body, key)
        if answer is not None:
            self._open, self._count = str(answer["id"]), 0
            self.answered.windows[key] = self._open

    def _beat(self) -> None:
        if self._open:
            self._count += self._random.randint(1, 100)
            answer = self._until_answered("POST", f"/api/v1/stage/{self._open}/heartbeat", self._tokens())
            if answer is not None:
                self.answered.tokens[self._open] = self._count

    def _end(self) -> None:
        if self._open:
            answer = self._until_answered("DELETE", f"/api/v1/stage/{self._open}", self._tokens())
            if answer is not None:
                self.answered.tokens[self._open] = self._count
                self.answered.ended.add(self._open)
            self._open = ""

    def _score(self) -> None:
        score = self._random.random()
        answer = self._until_answered(
            "POST", f"/api/v1/runs/{self.run_name}/scores", {"benchmark": "gsm8k", "score": score}
        )
        if answer is not None:
            self.answered.scores[self.run_name] = score

    def _tokens(self) -> dict[str, object]:
        return {"tokens": {"trained": self._count}}

    def _until_answered(self, method: str, path: str, body: object, key: str = "") -> dict[str, object] | None:
        """Ask again and again, as a client does; None where the exporter refused."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            try:
                status, raw = self._exporter.call(method, path, body, **headers)
            except Unanswered:
                time.sleep(0.02)
                continue
            if status == 200:
                answer: dict[str, object] = json.loads(raw)
                return answer
            self.answered.refused.append(f"{method} {path}: {status} {raw.decode()[:200]}")
            return None


class Scraper(threading.Thread):
    """Scrapes all the time and keeps the highest value of every counter that it was ever shown."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(name="scraper", daemon=True)
        self.highest: dict[str, float] = {}
        self.gone_down: list[str] = []
        self.worst_residual = 0.0
        self.scrapes = 0
        self._exporter = exporter
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.05):
            try:
                self.look()
            except Unanswered:
                continue

    def look(self) -> dict[str, float]:
        """One scrape, held against all those before."""
        samples = self._exporter.scrape()
        self.scrapes += 1
        for name, value in samples.items():
            if name.partition("{")[0].endswith("_total"):
                if value < self.highest.get(name, 0.0):
                    self.gone_down.append(f"{name}: {self.highest[name]!r} -> {value!r}")
                self.highest[name] = max(value, self.highest.get(name, 0.0))
        self.worst_residual = max(self.worst_residual, residual(samples))
        return samples

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=60)


def residual(samples: dict[str, float]) -> float:
    """What the stages of any device miss of it, in joules."""
    worst = 0.0
    for name, total in samples.items():
        if name.startswith("joulemark_device_energy_joules_total{"):
            device = name.partition("{")[2].rstrip("}")
            stages = sum(
                value
                for sample, value in samples.items()
                if sample.startswith("joulemark_energy_joules_total{") and device in sample
            )
            worst = max(worst, abs(stages - total))
    return worst
