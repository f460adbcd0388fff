"""The stages of one training: the training itself, and what it is interrupted by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import joulemark

from ..client.open_stages import innermost_stage
from ..visible_devices import Devices

Interlude = Literal["eval", "checkpoint"]
Names = tuple[str, str]


class TrainerStages:
    """In one run; `interludes` has stage and phase of each. One suspends the training's stage."""

    def __init__(self, run: joulemark.Run, interludes: Mapping[Interlude, Names], devices: Devices | None) -> None:
        self.run = run
        self._interludes, self._devices = interludes, devices
        self.training: joulemark.Stage | None = None
        self._now: Interlude | None = None
        self._inner: joulemark.Stage | None = None
        # An evaluation that the job has opened a stage for by itself is in good hands.
        self._lent = False

    def train(self, names: Names) -> None:
        """Begin the training's stage."""
        self.training = self._enter(names)

    def switch(self, to: Interlude | None) -> None:
        """Begin an interlude, or go back to training."""
        if to == self._now:
            return
        self._leave_inner()
        self._now = to
        if to is not None:
            around = innermost_stage(self.run)
            self._lent = around is not None and around is not self.training and around.name == self._interludes[to][0]
            self._inner = around if self._lent else self._enter(self._interludes[to])

    def end(self) -> None:
        """End whatever is open."""
        self.switch(None)
        if self.training is not None:
            self.training.__exit__(None, None, None)
            self.training = None

    def add(self, kind: str, count: int) -> None:
        """Add tokens where they belong; evaluated ones only while an evaluation is on."""
        if kind == "evaluated":
            if self._inner is not None and self._now == "eval":
                self._inner.add_tokens(evaluated=count)
        elif self.training is not None:
            self.training.add_tokens(**{kind: count})

    def _leave_inner(self) -> None:
        if self._inner is not None and not self._lent:
            self._inner.__exit__(None, None, None)
        self._inner, self._lent = None, False

    def _enter(self, names: Names) -> joulemark.Stage:
        return self.run.stage(names[0], phase=names[1], devices=self._devices).__enter__()
