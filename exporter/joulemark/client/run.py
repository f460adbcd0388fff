"""A run as the job writes it, and which voice it gets."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

from ..errors import ClientError, InvalidField, JoulemarkError
from ..names import check_benchmark, check_run
from ..visible_devices import Devices
from . import open_stages, timing
from .local_ranks import local_rank as own_local_rank
from .local_ranks import others_here, socket_path
from .notice import warn
from .other_rank import OtherRank
from .rank_zero import RankZero
from .speaker import Speaker
from .stage import Stage
from .transport import Transport
from .voice import Mute, Voice, heed

NAME_VARIABLE = "JOULEMARK_RUN"
# The runs whose window is held by a process around this one; `joulemark exec` sets it.
AROUND_VARIABLE = "JOULEMARK_AROUND"

_opened: Counter[str] = Counter()
_voices: list[Voice] = []


class Run:
    """One run of a pipeline; a context manager that gives out stages."""

    def __init__(self, name: str, voice: Voice, facts: Mapping[str, object]) -> None:
        self.name = name
        self.voice = voice
        self._enterings: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()
        open_stages.open_run(self)
        try:
            self.declare(**facts)
        except ClientError:
            self.close()
            raise

    def declare(self, **facts: object) -> None:
        """Say what the run is: pipeline, student, teacher, dataset, seed, baseline, reference, idle_watts, labels."""
        self._record("PUT", "", lambda: {key: value for key, value in facts.items() if value is not None})

    def stage(self, stage: str, *, phase: str = "", devices: Devices | None = None, share: bool = False) -> Stage:
        """A stage to enter: `with run.stage("teacher", phase="logit_caching") as stage:`; also `async with`, and `@`.

        `devices` are exporter names ("gpu0", "cpu0"), GPU UUIDs, CUDA ordinals (0, "cuda:0"), or "cuda" for all GPUs
        that CUDA_VISIBLE_DEVICES shows. Left out it means all devices; but where that shows only some of the GPUs,
        these alone: the CPU is then not held unless named, e.g. `devices=["cuda", "cpu0"]`.
        Raises InvalidField for a name that is none.
        """
        return Stage(self, stage, phase, devices, share)

    def score(
        self,
        benchmark: str,
        score: float,
        *,
        reference: float | None = None,
        n: int | None = None,
        stderr: float | None = None,
    ) -> None:
        """Keep a benchmark score, with the teacher's as reference, the number of items and the standard error."""
        self._record(
            "POST",
            "/scores",
            lambda: {
                "benchmark": check_benchmark(benchmark),
                "score": float(score),
                "reference": None if reference is None else float(reference),
                "n": None if n is None else int(n),
                # An exporter of a release that does not know it must not be sent it.
                **({} if stderr is None else {"stderr": float(stderr)}),
            },
        )

    def artifact(self, artifact: str, *, kind: str, role: str) -> None:
        """Keep that this run produced or consumed a teacher artifact."""
        self._record("POST", "/artifacts", lambda: {"artifact": artifact, "kind": kind, "role": role})

    def power_watts(self) -> dict[str, float] | None:
        """The latest power by device in watts; None when the exporter cannot be reached."""
        answer = self.voice.ask("/devices")
        devices = heed(self.voice, answer, answer.wait(self.voice.patience))
        try:
            return {str(d["device"]): float(d["watts"]) for d in devices if d["watts"] is not None}
        except (TypeError, KeyError, ValueError):
            return None

    @property
    def missed(self) -> int:
        """Transitions that were not booked when they happened, since the run began."""
        return self.voice.misses.transitions

    def count_entering(self, stage: str, phase: str) -> int:
        """The how-manieth entering of this stage and phase this is; the same in every rank of a job."""
        with self._counting:
            self._enterings[stage, phase] += 1
            return self._enterings[stage, phase]

    def close(self) -> None:
        """End open stages and send what is queued; what takes longer than a transition is finished meanwhile."""
        open_stages.close_run(self)
        self.voice.close()

    def fall_silent(self) -> None:
        """In a forked child: the run is its parent's."""
        self.voice.let_go()
        self.voice = Mute()
        self._counting = threading.Lock()

    def __enter__(self) -> Run:
        open_stages.enter_run(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, method: str, path: str, body: Callable[[], Mapping[str, object]]) -> None:
        """A value that comes out of the job's own work ends no job: what cannot be kept is warned of."""
        try:
            said = body()
        except (TypeError, ValueError, JoulemarkError) as error:
            if self.voice.strict:
                raise
            warn(f"{error}; not kept, the job goes on")
            return
        answer = self.voice.record(method, f"/runs/{self.name}{path}", said)
        heed(self.voice, answer, answer.wait(self.voice.patience))


def run(
    name: str | None = None,
    *,
    url: str | None = None,
    strict: bool = False,
    local_rank: int | None = None,
    **facts: object,
) -> Run:
    """Open a run: `with joulemark.run("kd-1b", pipeline="kd", teacher=…, student=…) as run:`.

    `name` defaults to JOULEMARK_RUN, `url` to JOULEMARK_URL, then loopback; `strict` turns every failure into a
    ClientError. Of several processes on one machine only that with `local_rank` (LOCAL_RANK) 0 speaks, and the token
    counts of the others are added through it. Raises InvalidField for a name that is none.
    """
    name = name if name is not None else os.environ.get(NAME_VARIABLE)
    if name is None:
        raise InvalidField("the run has no name", field="run", remedy=f"name it, or set {NAME_VARIABLE}")
    check_run(name)
    rank = own_local_rank() if local_rank is None else local_rank
    return Run(name, _voice(name, url, strict, rank), facts)


def stage(stage: str, *, phase: str = "", devices: Devices | None = None, share: bool = False) -> Stage:
    """A stage of the run that is open when it is entered, mostly as a decorator: `@joulemark.stage("data")`.

    Where no run is open it does nothing, so that a library can carry it.
    """
    return Stage(None, stage, phase, devices, share)


def _voice(name: str, url: str | None, strict: bool, rank: int | None) -> Voice:
    _opened[name] += 1
    _voices[:] = [voice for voice in _voices if not isinstance(voice, threading.Thread) or voice.is_alive()]
    try:
        path = None if rank is None else socket_path(name, _opened[name])
        if rank and path:
            voice: Speaker | OtherRank = OtherRank(name, rank, path, strict=strict)
        else:
            around = name in os.environ.get(AROUND_VARIABLE, "").split()
            ranks = RankZero(path, others_here()) if path else None
            voice = Speaker(name, Transport(url, keep=True), strict=strict, inside=around, ranks=ranks)
        voice.start()
    except (OSError, RuntimeError) as error:
        if strict:
            raise ClientError(f"run {name!r} cannot be booked: {error}") from error
        warn(f"run {name!r} is not booked: {error}; the job goes on")
        return Mute()
    _voices.append(voice)
    return voice


def _finish_all() -> None:
    """At the end of the process: close what is open, and give what is under way a moment, all together."""
    for opened in open_stages.all_runs():
        opened.close()
    until = time.monotonic() + timing.EXIT_SECONDS
    for voice in _voices:
        voice.finish(max(0.0, until - time.monotonic()))


def _fall_silent() -> None:
    _voices.clear()
    for opened in open_stages.all_runs():
        opened.fall_silent()


atexit.register(_finish_all)
os.register_at_fork(after_in_child=_fall_silent)
