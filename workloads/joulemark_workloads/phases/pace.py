"""Steady work apart from its end: which phase an engine is in follows from how full it is."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from .context import Run, Stage

# Less of the engine at work than this is the ramp-down: what remains pays for a machine that is mostly idle.
_STEADY_SHARE = 0.5


class Pace:
    """Books tokens to `steady` while at least half of the engine works, else to `ramp_down`."""

    def __init__(self, run: Run, stage: str, steady: str, ramp_down: str) -> None:
        self._run = run
        self._name = stage
        self._phases = {True: steady, False: ramp_down}
        self._steady = True
        self._open = ExitStack()
        self.stage: Stage

    def __enter__(self) -> Pace:
        self._enter(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def step(self, grown: int, full: int) -> None:
        """So many sequences got a token, of so many that the engine has room for."""
        steady = grown >= full * _STEADY_SHARE
        if steady != self._steady:
            self._open.close()
            self._enter(steady)
        self.stage.add_tokens(generated=grown)

    def _enter(self, steady: bool) -> None:
        self._steady = steady
        self.stage = self._open.enter_context(self._run.stage(self._name, phase=self._phases[steady]))
