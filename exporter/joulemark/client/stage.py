"""A stage as the job writes it: a context manager, an async one, and a decorator."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import ClientError
from ..names import check_phase, check_stage
from ..visible_devices import VARIABLE, Devices
from .answer import Answer
from .open_stages import enter_stage, innermost_run, innermost_stage, leave_stage
from .spanning import Function, spanning
from .token_counts import TokenCounts
from .voice import Entered, Mute, Voice, heed

if TYPE_CHECKING:
    from .run import Run


class Stage:
    """One stage of a run, open between entering and leaving; a stage inside a stage suspends the outer one.

    `summary` is what the exporter says of it when it has ended: joules, uncertainty_joules, seconds, mean_watts, …;
    None while it is open, and when no exporter answered in time. Without a run it belongs to the one around it when it
    is entered, and to nobody where there is none.
    """

    def __init__(self, run: Run | None, stage: str, phase: str, devices: Devices | None, share: bool) -> None:
        self.name = check_stage(stage)
        self.phase = check_phase(phase)
        self.summary: dict[str, Any] | None = None
        self._run, self._given_run, self._devices, self._share = run, run, devices, share
        self._tokens = TokenCounts()
        self._entered: Entered | None = None
        self._ending: Answer | None = None
        self._failed = False

    def add_tokens(self, **counts: int) -> None:
        """Add handled tokens by kind: prompt, generated, cached, trained, evaluated.

        A local addition; a background thread sends the counts. Raises InvalidField for a kind that is none.
        """
        self._tokens.add(counts)

    def fail(self) -> None:
        """Say that what this stage does has failed, where no exception says so by leaving it; its joules are kept."""
        self._failed = True

    def is_of(self, run: Run) -> bool:
        """Whether it belongs to this run."""
        return self._run is run

    def wait_for_summary(self, seconds: float) -> dict[str, Any] | None:
        """The summary of a stage that was left, waiting for it so long at most; None when it did not come."""
        if self._ending is not None and self._ending.wait(seconds):
            self.summary = self._ending.value
        return self.summary

    def __call__(self, function: Function) -> Function:
        """As a decorator: each call of the function is a stage of its own."""
        return spanning(function, self._another)

    def __enter__(self) -> Stage:
        voice, entered = self._enter()
        begun = voice.begin(entered)
        self._check_begun(begun, begun.wait(voice.patience))
        return self

    async def __aenter__(self) -> Stage:
        voice, entered = self._enter()
        begun = voice.begin(entered)
        self._check_begun(begun, await begun.settled(voice.patience))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        voice, ending = self._leave(error)
        self._check_ended(ending, ending.wait(voice.patience), error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        voice, ending = self._leave(error)
        self._check_ended(ending, await ending.settled(voice.patience), error)

    def _another(self) -> Stage:
        return Stage(self._given_run, self.name, self.phase, self._devices, self._share)

    def _enter(self) -> tuple[Voice, Entered]:
        if self._entered is not None:
            raise RuntimeError(f"stage {self.name!r} is open already: each entering at a time needs a stage of its own")
        if self._ending is not None:
            self._tokens, self.summary, self._ending, self._failed = TokenCounts(), None, None, False
        self._run = self._given_run or innermost_run()
        around = innermost_stage(self._run) if self._run else None
        if self._devices is None and around is not None:  # It works where the stage around it does.
            self._devices = around._devices
        self._entered = Entered(
            self.name, self.phase, self._run.count_entering(self.name, self.phase) if self._run else 1,
            self._devices, os.environ.get(VARIABLE), self._share, self._tokens.now,
        )  # fmt: skip
        enter_stage(self)
        return self._voice(), self._entered

    def _leave(self, error: BaseException | None) -> tuple[Voice, Answer]:
        leave_stage(self)
        voice, entered, self._entered = self._voice(), self._entered, None
        self._ending = voice.end(entered, failed=self._failed or _is_failure(error)) if entered else Answer.of_nothing()
        return voice, self._ending

    def _check_begun(self, begun: Answer, in_time: bool) -> None:
        voice = self._voice()
        try:
            heed(voice, begun, in_time)
        except ClientError:
            leave_stage(self)
            entered, self._entered = self._entered, None
            if entered:
                voice.abandon(entered)
            raise

    def _check_ended(self, ending: Answer, in_time: bool, error: BaseException | None) -> None:
        try:
            self.summary = heed(self._voice(), ending, in_time)
        except ClientError:
            if error is None:  # What the job itself raises is more important.
                raise

    def _voice(self) -> Voice:
        return self._run.voice if self._run else Mute()


def _is_failure(error: BaseException | None) -> bool:
    """Whether what left a stage says that its work failed: an exit with code 0 and a closed generator do not."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return error is not None and not isinstance(error, GeneratorExit)
