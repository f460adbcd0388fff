"""The voice that calls the exporter: one background thread makes all calls of a run, in order.

While the exporter is away nothing waits for it: transitions are noted as missed, the stages that are still open when it
comes back begin a window then, and windows whose stage has ended meanwhile are ended then.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..errors import ClientError, ExporterAway
from ..visible_devices import DeviceNames
from . import timing
from .answer import Answer
from .line import Line
from .misses import Misses
from .notice import say
from .open_windows import OpenWindows
from .rank_zero import RankZero
from .records import Records
from .transport import Transport
from .voice import Entered
from .window import Window


class _Job(NamedTuple):
    do: Callable[[], Any]
    missed: Callable[[ClientError], None]
    answer: Answer


class Speaker(threading.Thread):
    """Speaks for one run; `inside` says that a process around this one holds a window of the same run."""

    def __init__(
        self, run: str, transport: Transport, *, strict: bool, inside: bool = False, ranks: RankZero | None = None
    ) -> None:
        super().__init__(name="joulemark-client", daemon=True)
        self.misses = Misses()
        self.strict = strict
        self._run, self._ranks = run, ranks
        self._line = Line(transport, strict=strict)
        self._names = DeviceNames(lambda: self._line.call("GET", "/devices"), strict=strict)
        self._windows = OpenWindows(self._line, self.misses, inside=inside)
        self._records = Records(self._line, self.misses)
        self._wake = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._linger_until: float | None = None
        self._unheard_until = 0.0
        self._hopeless = False
        self._doing: _Job | None = None
        self._reported = False

    # -- on the job's threads ------------------------------------------------------------------------------

    @property
    def patience(self) -> float:
        """A strict job waits for its answer; others only while there is hope for one."""
        if self.strict:
            return timing.REQUEST_SECONDS * 3
        return 0.0 if self._line.outage or self._hopeless else timing.WAIT_SECONDS

    def lose_patience(self) -> None:
        """An answer did not come in time: nobody waits again before one has."""
        self._hopeless = True

    def begin(self, entered: Entered) -> Answer:
        """Open a window for a stage; inside another stage of the run it suspends that one."""
        asked: dict[str, object] = {
            "run": self._run, "stage": entered.stage, "phase": entered.phase,
            "ttl_seconds": timing.LEASE_SECONDS, "share": entered.share,
        }  # fmt: skip
        devices = partial(self._names.resolve, entered.devices, entered.visible)
        window = Window(self._line, self.misses, asked, devices, partial(self._counts, entered))
        self._windows.add(entered, window)
        return self._submit(partial(self._windows.begin, window), partial(self._windows.miss_begin, window))

    def end(self, entered: Entered, *, failed: bool = False) -> Answer:
        """End its window; the answer is the summary."""
        window = self._windows.take(entered)
        if window is None:
            return Answer.of_nothing()
        window.failed = failed
        return self._submit(partial(self._end, window), partial(self._windows.miss_end, window))

    def abandon(self, entered: Entered) -> None:
        """Forget a stage that could not begin; should its window be open all the same, it is ended."""
        window = self._windows.take(entered)
        if window is not None:
            self._submit(window.end, lambda _: self._windows.end_later(window))

    def record(self, method: str, path: str, body: Mapping[str, object]) -> Answer:
        """Have a score, an artifact or a declaration kept; sent later when the exporter is away."""
        self._records.add(method, path, body)
        return self._submit(self._records.send_waiting, lambda _: None)

    def ask(self, path: str) -> Answer:
        """Ask the exporter something."""
        return self._submit(partial(self._line.call, "GET", path), lambda _: None)

    def close(self) -> None:
        """End what is open, innermost first, have the rest sent, and wait for it as long as for a transition."""
        for entered in reversed(self._windows.entered()):
            self.end(entered)
        with self._wake:
            self._linger_until = time.monotonic() + timing.LINGER_SECONDS
            self._unheard_until = time.monotonic() + timing.UNHEARD_SECONDS
            self._wake.notify()
        self.join(timing.REQUEST_SECONDS if self.strict else timing.WAIT_SECONDS)

    def finish(self, seconds: float) -> None:
        """The job ends: wait so long at most for what is left to send, then say what was not booked."""
        self._linger_until = min(self._linger_until or 0.0, time.monotonic() + seconds / 2)
        self.join(seconds)
        if self.is_alive():
            self._give_up()
        self._report()

    def let_go(self) -> None:
        """In a forked child there is no thread to end, but other ranks must not be kept waiting by it."""
        if self._ranks:
            self._ranks.let_go()

    def _submit(self, do: Callable[[], Any], missed: Callable[[ClientError], None]) -> Answer:
        answer = Answer()
        with self._wake:
            if self._linger_until is not None:
                error = ClientError(f"run {self._run!r} is closed: what comes after is not booked")
                self._line.complain(error)
                answer.settle(None, error)
                return answer
            self._jobs.append(_Job(do, missed, answer))
            self._wake.notify()
        return answer

    def _give_up(self) -> None:
        """The thread is held up in a call: what waits behind it is not booked, nor what it is about."""
        with self._wake:
            waiting = [*([self._doing] if self._doing else []), *self._jobs]
            self._jobs.clear()
        for job in waiting:
            job.missed(ExporterAway("the job ended before the exporter answered"))

    # -- on the background thread --------------------------------------------------------------------------

    def run(self) -> None:
        """Make the calls, renew the leases, until the run is closed and nothing is left to send."""
        beat_at = time.monotonic() + timing.BEAT_SECONDS
        while True:
            job = self._next_job(beat_at)
            if job is not None:
                self._do(job)
            elif self._linger_until is not None and not self._others_may_count():
                break
            if time.monotonic() >= beat_at:
                self._catch_up()
                beat_at = time.monotonic() + (timing.RETRY_SECONDS if self._line.outage else timing.BEAT_SECONDS)
        self._leave()

    def _next_job(self, beat_at: float) -> _Job | None:
        with self._wake:
            if not self._jobs and self._linger_until is None:
                self._wake.wait(max(0.0, beat_at - time.monotonic()))
            return self._jobs.popleft() if self._jobs else None

    def _do(self, job: _Job) -> None:
        try:
            self._doing = job
            if self._line.outage and not self._line.is_quiet:
                self._catch_up()
            if self._line.is_quiet:
                raise ExporterAway(self._line.outage or "")
            value = job.do()
        except Exception as error:
            self._miss(job, _as_client_error(error))
        else:
            self._hopeless = False
            job.answer.settle(value)
        self._doing = None

    def _miss(self, job: _Job, error: ClientError) -> None:
        if not isinstance(error, ExporterAway):
            self._line.complain(error)
        job.missed(error)
        job.answer.settle(None, error)

    def _end(self, window: Window) -> Any:
        summary = self._windows.end(window)
        if self.strict and window.faults:
            raise ClientError("; ".join(window.faults))
        return summary

    def _counts(self, entered: Entered) -> dict[str, int]:
        """The stage's tokens in this process and in the ranks that speak through it."""
        counts = entered.counts()
        others = self._ranks.counts(entered.stage, entered.phase, entered.occurrence) if self._ranks else {}
        return {kind: counts.get(kind, 0) + others.get(kind, 0) for kind in {**counts, **others}}

    def _catch_up(self) -> None:
        try:
            self._records.send_waiting()
            self._windows.catch_up()
        except ExporterAway:
            return  # The line has warned, and knows when to try again.
        except Exception as error:
            self._line.complain(_as_client_error(error))
        self._hopeless = self._hopeless and self._line.outage is not None

    def _others_may_count(self) -> bool:
        """Wait a moment for ranks that have not left yet, and for those that have yet to speak."""
        now = time.monotonic()
        if not self._ranks or now > (self._linger_until or 0.0):
            return False
        if not self._ranks.others_are_there() and (self._ranks.all_have_spoken() or now > self._unheard_until):
            return False
        time.sleep(timing.RETRY_SECONDS / 20)
        return True

    def _leave(self) -> None:
        if not self._line.is_quiet:
            self._catch_up()
        self._line.close()
        if self._ranks:
            self._ranks.close()
        self._report()

    def _report(self) -> None:
        if not self._reported:
            self._reported = True
            self._records.drop()
            self._windows.drop()
            text = self.misses.report(self._run)
            if text:
                say(text)


def _as_client_error(error: Exception) -> ClientError:
    """Whatever goes wrong on the background thread is the client's, and must not end it."""
    return error if isinstance(error, ClientError) else ClientError(f"{type(error).__name__}: {error}")
