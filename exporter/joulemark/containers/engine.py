"""The container engine, through the Docker SDK: what runs, and what changes. It is only ever read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from ..errors import EngineAway, SettingsError
from .container import RUN_LABEL, Container

# An engine that does not answer a question in so many seconds is away.
_ANSWER_SECONDS = 10
_EVENTS = ["start", "die", "pause", "unpause"]
_REMEDIES = (
    ("Permission denied", "let this user open the socket (group docker), or put a read-only proxy before it"),
    ("No such file", "start the engine, or name its address in --docker.host"),
    ("Connection refused", "start the engine, or name its address in --docker.host"),
    ("403", "the proxy before it must allow GET of /version, /events and /containers"),
)


class Engine(Protocol):
    """What the watch needs; every call raises EngineAway where no answer is to be had."""

    def containers(self) -> list[Container]:
        """The labelled containers that run or are paused."""

    def container(self, container_id: str) -> Container | None:
        """One container, None when it is gone."""

    def changes(self) -> Iterator[str]:
        """The ids of labelled containers that start, stop, pause or go on from this call on; ends with the engine."""

    def close(self) -> None:
        """Let go of the engine; an iterator of changes ends."""


class DockerEngine:
    """A Docker-compatible engine at `host` (unix://, tcp://, ssh:// …); where DOCKER_HOST says when that is None."""

    def __init__(self, host: str | None) -> None:
        import docker

        self._errors = docker.errors
        self._events: Any = None
        settings = {**docker.utils.kwargs_from_env(), **({"base_url": host} if host else {})}
        self._shown = settings.get("base_url") or "unix:///var/run/docker.sock"
        with self._answering():
            self._api = docker.APIClient(version="auto", timeout=_ANSWER_SECONDS, **settings)

    def containers(self) -> list[Container]:
        with self._answering():
            listed = self._api.containers(filters={"label": [RUN_LABEL], "status": ["running", "paused"]})
        found = (self.container(entry["Id"]) for entry in listed)
        return [container for container in found if container is not None]

    def container(self, container_id: str) -> Container | None:
        with self._answering():
            try:
                return Container.inspected(self._api.inspect_container(container_id))
            except self._errors.NotFound:
                return None

    def changes(self) -> Iterator[str]:
        from docker.types import CancellableStream

        wanted = {"filters": json.dumps({"type": ["container"], "label": [RUN_LABEL], "event": _EVENTS})}
        # The SDK's own call takes a refusal for the end of the stream.
        url = f"{self._api.base_url}/v{self._api.api_version}/events"
        with self._answering():
            answer = self._api.get(url, params=wanted, stream=True, timeout=(_ANSWER_SECONDS, None))
            answer.raise_for_status()
        self._events = CancellableStream(answer.iter_lines(chunk_size=None), answer)
        return self._ids(self._events)

    def close(self) -> None:
        if self._events is not None:
            # It shuts the socket down, which may be gone already, under whoever reads from it.
            with suppress(OSError, AttributeError, self._errors.DockerException):
                self._events.close()
        self._api.close()

    def _ids(self, lines: Iterable[bytes]) -> Iterator[str]:
        with self._answering():
            for line in lines:
                yield str(json.loads(line)["id"])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn whatever the SDK and what lies below it raise into EngineAway with a remedy."""
        import requests
        import urllib3

        try:
            yield
        except (self._errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as why:
            raise EngineAway(_words(self._shown, why)) from why


def connector(host: str | None) -> Callable[[], Engine]:
    """What connects to an engine; raises SettingsError where the Docker SDK is not installed."""
    try:
        import docker  # noqa: F401
    except ImportError as error:
        raise SettingsError("--docker needs the Docker SDK: pip install 'joulemark[docker]'") from error
    return lambda: DockerEngine(host)


def _words(shown: str, why: Any) -> str:
    remedy = next((remedy for part, remedy in _REMEDIES if part in str(why)), "see docs/containers.md")
    return f"no container engine at {shown} ({str(why)[:200]}): {remedy}"
