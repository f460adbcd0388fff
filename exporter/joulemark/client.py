"""The client: sets stages from inside a training job. Standard library only; fails open.

Every call goes through one background thread, in order. The job's thread waits for a transition at most
`WAIT_SECONDS`; after that it goes on and the transition is still made. When the exporter cannot be reached the job
never notices, but for one warning per outage; with `strict=True` each failure is a ClientError.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Any

from .errors import ClientError
from .names import check_benchmark, check_phase, check_run, check_stage, check_token_kind
from .visible_devices import VARIABLE, DeviceNames, Devices

DEFAULT_URL = "http://127.0.0.1:9871"
LEASE_SECONDS = 60.0
WAIT_SECONDS = 0.25
BEAT_SECONDS = 5.0
_REQUEST_SECONDS = 5.0
_EXIT_SECONDS = 3.0


class Transport:
    """One request at a time to one exporter."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        # A proxy set for the job's downloads must not carry calls to its own machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Answer as JSON; raises ClientError with the exporter's own words."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  the URL is the user's own setting
            f"{self.url}/api/v1{path}", data=data, method=method, headers=self._headers
        )
        try:
            with self._opener.open(request, timeout=_REQUEST_SECONDS) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise ClientError(_problem(error)) from error
        except (OSError, ValueError) as error:
            raise ConnectionError(f"no exporter at {self.url}: {error}") from error


class _Worker(threading.Thread):
    """Makes the calls of one run in order and keeps its open stages alive."""

    def __init__(self, transport: Transport, strict: bool) -> None:
        super().__init__(name="joulemark-client", daemon=True)
        self._transport = transport
        self._strict = strict
        self._jobs: queue.Queue[tuple[Any, Future[Any]] | None] = queue.Queue()
        self._warned = False
        self.stages: list[Stage] = []
        self.missed = 0
        self.pid = os.getpid()

    def submit(self, job: Any) -> Any:
        """Have a job done; its result when it comes in time, else None and it is done later."""
        future: Future[Any] = Future()
        if self.pid != os.getpid():
            return None  # A forked child does not speak for its parent's run.
        self._jobs.put((job, future))
        try:
            return future.result(timeout=_REQUEST_SECONDS * 2 if self._strict else WAIT_SECONDS)
        except FutureTimeout:
            return None
        except (ClientError, ConnectionError) as error:
            if self._strict:
                raise ClientError(str(error)) from error
            return None

    def run(self) -> None:
        beat = time.monotonic() + BEAT_SECONDS
        while True:
            if time.monotonic() >= beat:
                self._beat()
                beat = time.monotonic() + BEAT_SECONDS
            try:
                item = self._jobs.get(timeout=max(0.0, beat - time.monotonic()))
            except queue.Empty:
                continue
            if item is None:
                return
            job, future = item
            try:
                answer = job()
                self._warned = self._warned and answer is None
                future.set_result(answer)
            except Exception as error:
                self.missed += 1
                self._warn(error)
                future.set_exception(error)

    def finish(self) -> None:
        """Let the queue drain, for a bounded time."""
        self._jobs.put(None)
        self.join(_EXIT_SECONDS)

    def _beat(self) -> None:
        try:
            for stage in list(self.stages):
                stage._beat()
            self._warned = False
        except (ClientError, ConnectionError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned and not self._strict:
            self._warned = True
            warnings.warn(
                f"joulemark: {error}; the job goes on, its energy is not booked to a stage meanwhile",
                RuntimeWarning,
                stacklevel=2,
            )


class Stage:
    """One stage of a run, open between `__enter__` and `__exit__`; a stage inside a stage suspends the outer one."""

    def __init__(self, run: Run, stage: str, phase: str, devices: Devices | None, share: bool) -> None:
        self.name = check_stage(stage)
        self.phase = check_phase(phase)
        self.summary: dict[str, Any] | None = None
        self._run = run
        self._devices, self._visible = devices, os.environ.get(VARIABLE)
        self._share = share
        self._id: str | None = None
        self._tokens: dict[str, int] = {}
        # What earlier windows of this stage have already been told, when the exporter lost one of them.
        self._told_before: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._lock = threading.Lock()

    def add_tokens(self, **counts: int) -> None:
        """Add handled tokens by kind: prompt, generated, cached, trained, evaluated. Local and immediate."""
        for kind, count in counts.items():
            check_token_kind(kind)
            if count < 0:
                raise ValueError(f"add_tokens({kind}={count}): counts only go up")
        with self._lock:
            for kind, count in counts.items():
                self._tokens[kind] = self._tokens.get(kind, 0) + count

    def __enter__(self) -> Stage:
        worker = self._run._worker
        nested = bool(worker.stages)
        if nested and self._devices is None:  # It works where the stage around it does.
            self._devices = worker.stages[-1]._devices
        worker.stages.append(self)
        worker.submit(lambda: self._begin(nested))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        worker = self._run._worker
        if self in worker.stages:
            worker.stages.remove(self)
        self.summary = worker.submit(self._end)

    def _begin(self, nested: bool) -> str:
        body = {
            "run": self._run.name,
            "stage": self.name,
            "phase": self.phase,
            "devices": self._run._names.resolve(self._devices, self._visible),
            "ttl_seconds": LEASE_SECONDS,
            "share": self._share,
            "nest": nested,
        }
        self._id = str(self._run._transport.call("PUT", "/stage", body)["id"])
        return self._id

    def _beat(self) -> None:
        """Renew the lease; a stage that could not begin, or whose window is gone, begins a new window."""
        if self._id is None:
            self._begin(nested=self._run._worker.stages[0] is not self)
        try:
            window = self._tell("POST", f"/stage/{self._id}/heartbeat")
        except ClientError:
            self._lose_window()
            raise
        if window["state"] not in ("active", "suspended"):
            self._lose_window()
            self._begin(nested=self._run._worker.stages[0] is not self)

    def _end(self) -> dict[str, Any] | None:
        return None if self._id is None else self._tell("DELETE", f"/stage/{self._id}")

    def _tell(self, method: str, path: str) -> dict[str, Any]:
        with self._lock:
            counts = dict(self._tokens)
        new = {kind: count - self._told_before.get(kind, 0) for kind, count in counts.items()}
        window: dict[str, Any] = self._run._transport.call(method, path, {"tokens": new})
        self._told = counts
        return window

    def _lose_window(self) -> None:
        self._id = None
        self._told_before = dict(self._told)


class Run:
    """One run of a pipeline; a context manager that gives out stages."""

    def __init__(self, name: str, facts: Mapping[str, object], url: str | None, strict: bool) -> None:
        self.name = check_run(name)
        url = url or os.environ.get("JOULEMARK_URL") or DEFAULT_URL
        self._transport = Transport(url, os.environ.get("JOULEMARK_TOKEN"))
        self._names = DeviceNames(lambda: self._transport.call("GET", "/devices"), strict=strict)
        self._worker = _Worker(self._transport, strict)
        self._worker.start()
        atexit.register(self.close)
        self.declare(**facts)

    def declare(self, **facts: object) -> None:
        """Say what the run is: pipeline, student, teacher, dataset, seed, baseline, reference, idle_watts, labels."""
        body = {key: value for key, value in facts.items() if value is not None}
        self._worker.submit(lambda: self._transport.call("PUT", f"/runs/{self.name}", body))

    def stage(self, stage: str, *, phase: str = "", devices: Devices | None = None, share: bool = False) -> Stage:
        """A stage to enter: `with run.stage("teacher", phase="logit_caching") as stage:`.

        `devices` are exporter names ("gpu0", "cpu0"), GPU UUIDs, CUDA ordinals (0, "cuda:0"), or "cuda" for all GPUs
        that CUDA_VISIBLE_DEVICES shows. Left out it means all devices; but where that shows only some of the GPUs,
        these alone: the CPU is then not held unless named, e.g. `devices=["cuda", "cpu0"]`.
        """
        return Stage(self, stage, phase, devices, share)

    def score(self, benchmark: str, score: float, *, reference: float | None = None, n: int | None = None) -> None:
        """Keep a benchmark score, with the teacher's score as reference and the number of items."""
        body = {"benchmark": check_benchmark(benchmark), "score": score, "reference": reference, "n": n}
        self._worker.submit(lambda: self._transport.call("POST", f"/runs/{self.name}/scores", body))

    def artifact(self, artifact: str, *, kind: str, role: str) -> None:
        """Keep that this run produced or consumed a teacher artifact."""
        body = {"artifact": artifact, "kind": kind, "role": role}
        self._worker.submit(lambda: self._transport.call("POST", f"/runs/{self.name}/artifacts", body))

    def power_watts(self) -> dict[str, float] | None:
        """The latest power by device in watts; None when the exporter cannot be reached."""
        devices = self._worker.submit(lambda: self._transport.call("GET", "/devices"))
        if devices is None:
            return None
        return {d["device"]: d["watts"] for d in devices if d["watts"] is not None}

    @property
    def missed(self) -> int:
        """Calls that failed since the run began."""
        return self._worker.missed

    def close(self) -> None:
        """Send what is still queued, for at most a few seconds."""
        atexit.unregister(self.close)
        if self._worker.is_alive() and self._worker.pid == os.getpid():
            self._worker.finish()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run(name: str, *, url: str | None = None, strict: bool = False, **facts: object) -> Run:
    """Open a run: `with joulemark.run("kd-1b", pipeline="kd", teacher=…, student=…) as run:`.

    `url` defaults to JOULEMARK_URL, then loopback; `strict` turns every failed call into a ClientError.
    """
    return Run(name, facts, url, strict)


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        return f"{problem['detail']} ({problem['remedy']})"
    except (ValueError, KeyError, OSError):
        return f"the exporter answered {error.code}"
