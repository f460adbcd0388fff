"""Who speaks for a run in this process: the exporter's caller, another rank's messenger, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ClientError
from ..visible_devices import Devices
from .answer import Answer
from .misses import Misses


@dataclass(frozen=True, eq=False)
class Entered:
    """One entering of a stage; `occurrence` counts those of its stage and phase in the run, from 1.

    `visible` is CUDA_VISIBLE_DEVICES at that time; `counts` gives the tokens so far.
    """

    stage: str
    phase: str
    occurrence: int
    devices: Devices | None
    visible: str | None
    share: bool
    counts: Callable[[], dict[str, int]]


class Voice(Protocol):
    """What a run asks for; every call but `close` and `finish` returns at once."""

    @property
    def strict(self) -> bool:
        """Whether a failure is raised in the job."""

    @property
    def patience(self) -> float:
        """How many seconds the job may wait for an answer; 0 where none is to be expected."""

    @property
    def misses(self) -> Misses:
        """What was not booked when it happened."""

    def lose_patience(self) -> None:
        """An answer did not come in time."""

    def begin(self, entered: Entered) -> Answer:
        """Open a window for a stage."""

    def end(self, entered: Entered, *, failed: bool = False) -> Answer:
        """End it; the answer is its summary, or None."""

    def abandon(self, entered: Entered) -> None:
        """Forget a stage that could not begin."""

    def record(self, method: str, path: str, body: Mapping[str, object]) -> Answer:
        """Have something kept that belongs to no instant; it may come late."""

    def ask(self, path: str) -> Answer:
        """Ask the exporter something."""

    def close(self) -> None:
        """End what is open and send what is left; waits for it as long as for a transition."""

    def finish(self, seconds: float) -> None:
        """The job ends: wait so long at most for what `close` has left to do, and say what was not booked."""

    def let_go(self) -> None:
        """Give up what a forked child has of its parent's."""


def heed(voice: Voice, answer: Answer, in_time: bool) -> Any:
    """What came of a call, None when it failed or is late; raises ClientError for these when strict."""
    if not in_time:
        voice.lose_patience()
        if voice.strict:
            raise ClientError(f"the exporter did not answer within {voice.patience:g} s")
        return None
    if voice.strict and answer.error is not None:
        raise answer.error
    return answer.value


class Mute:
    """Says nothing: in a forked child, in a process that could start no thread, outside of a run."""

    strict = False
    patience = 0.0

    def __init__(self) -> None:
        self.misses = Misses()

    def begin(self, entered: Entered) -> Answer:
        """Nothing."""
        del entered
        return Answer.of_nothing()

    def record(self, method: str, path: str, body: Mapping[str, object]) -> Answer:
        """Nothing."""
        del method, path, body
        return Answer.of_nothing()

    def ask(self, path: str) -> Answer:
        """Nothing."""
        del path
        return Answer.of_nothing()

    def close(self) -> None:
        """Nothing."""

    def finish(self, seconds: float) -> None:
        """Nothing."""
        del seconds

    def end(self, entered: Entered, *, failed: bool = False) -> Answer:
        """Nothing."""
        del entered, failed
        return Answer.of_nothing()

    def abandon(self, entered: Entered) -> None:
        """Nothing."""
        del entered

    lose_patience = let_go = close
