"""From labelled containers to windows: each that runs holds one, through the same calls as the stage API's."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ..errors import InvalidField, RequestError
from ..exposition.exposition import Sample
from ..ledger.state import StageRequest
from ..ledger.windows import REPLACED
from ..meter.meter import Meter
from .container import PHASE_LABEL, RUN_LABEL, SHARE_LABEL, STAGE_LABEL, Container
from .given_devices import given_devices

log = logging.getLogger(__name__)

# Nobody can vouch for a container while its engine or this exporter is away: its window then ends with its lease.
LEASE_SECONDS = 60.0
BOOKED, STEPPED_BACK, REFUSED = "booked", "stepped_back", "refused"
_KEY = "docker"


class ContainerBookings:
    """Keeps the windows in step with the containers that run; one thread calls it, any may ask for its samples.

    Which window is whose is kept in the ledger, in the keys of the transitions: a restarted exporter goes on with the
    windows of containers that still run, and ends those of containers that stopped meanwhile.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._running: dict[str, Container] = {}
        self._windows = {key.split(":")[1]: window for key, window in meter.keyed_windows(f"{_KEY}:").items()}
        self._states: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def see_all(self, containers: Iterable[Container]) -> None:
        """These are all labelled containers there are."""
        self._running = {container.id: container for container in containers if container.running}
        self._settle()

    def see(self, container_id: str, container: Container | None) -> None:
        """One container is now so, or gone."""
        self._running.pop(container_id, None)
        if container is not None and container.running:
            self._running[container_id] = container
        self._settle()

    def renew(self) -> None:
        """Put off the end of every lease; for as long as the engine vouches for the containers."""
        for window in self._windows.values():
            self._meter.heartbeat(window, {})

    def samples(self) -> Iterator[Sample]:
        """How many labelled containers run in which state."""
        counts = Counter(self._states.copy().values())
        for state in (BOOKED, STEPPED_BACK, REFUSED):
            yield "joulemark_docker_containers", (state,), float(counts[state])

    def _settle(self) -> None:
        """End what stopped, then begin what runs: an end may close windows that lay inside."""
        for container_id in [x for x in self._windows if x not in self._running]:
            self._meter.end(self._windows.pop(container_id), {})
            log.info("container=%s event=ended", container_id[:12])
        for known in (self._states, self._said):
            for container_id in [x for x in known if x not in self._running]:
                del known[container_id]
        active = {str(window["id"]): str(window["run"]) for window in self._meter.active()}
        for container in self._running.values():
            self._states[container.id] = self._state(container, active)

    def _state(self, container: Container, active: Mapping[str, str]) -> str:
        """Have the container's window open if it can be; `active` maps the open windows to their runs."""
        window = self._windows.get(container.id)
        if window in active:
            return BOOKED
        if window is not None:
            del self._windows[container.id]
        replaced = window is not None and self._meter.heartbeat(window, {})["state"] == REPLACED
        others = [run for found, run in active.items() if found not in self._windows.values()]
        if (replaced or self._states.get(container.id) == STEPPED_BACK) and container.labels[RUN_LABEL] in others:
            self._say(container, "the run tells its stages itself: its own windows come first")
            return STEPPED_BACK
        return self._begin(container)

    def _begin(self, container: Container) -> str:
        try:
            request = self._request(container)
            summary, _ = self._meter.begin(request, f"{_KEY}:{container.id}:{uuid.uuid4().hex}")
        except RequestError as error:
            self._say(container, f"not booked: {error.detail} ({error.remedy})")
            return REFUSED
        self._windows[container.id] = str(summary["id"])
        self._said.pop(container.id, None)
        log.info(
            "container=%s name=%s event=booked run=%s stage=%s window=%s",
            container.id[:12], container.name, request.run, request.stage, summary["id"],
        )  # fmt: skip
        return BOOKED

    def _request(self, container: Container) -> StageRequest:
        """What its labels ask for. It lies inside whatever stage of its run is open on these devices."""
        labels = container.labels
        if STAGE_LABEL not in labels:
            raise InvalidField(f"label {STAGE_LABEL} is missing", field="stage", remedy=f"{STAGE_LABEL}=teacher, …")
        known = {device.name: device.key for device in self._meter.fleet.devices}
        return StageRequest(
            run=labels[RUN_LABEL], stage=labels[STAGE_LABEL], phase=labels.get(PHASE_LABEL, ""),
            devices=given_devices(container, known), ttl_seconds=LEASE_SECONDS, nest=True,
            share=labels.get(SHARE_LABEL, "").lower() in ("true", "1", "yes"),
        )  # fmt: skip

    def _say(self, container: Container, words: str) -> None:
        """Once, until something else is to be said."""
        if self._said.get(container.id) != words:
            self._said[container.id] = words
            log.warning("container=%s name=%s %s", container.id[:12], container.name, words)
