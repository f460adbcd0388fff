"""What is asked of a container: its labels, whether it runs, and the GPUs it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The label that makes a container ours to look at; the others say more.
RUN_LABEL = "joulemark.run"
STAGE_LABEL = "joulemark.stage"
PHASE_LABEL = "joulemark.phase"
DEVICES_LABEL = "joulemark.devices"
SHARE_LABEL = "joulemark.share"


@dataclass(frozen=True)
class GpuRequest:
    """One `--gpus` of a container: so many GPUs (-1: all), or these."""

    count: int = 0
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container as its engine describes it; `running` is false while it is paused."""

    id: str
    name: str
    running: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    requests: tuple[GpuRequest, ...] = ()
    visible_devices: str | None = None

    @classmethod
    def inspected(cls, facts: Mapping[str, Any]) -> Container:
        """From the engine's answer to `GET /containers/ID/json`."""
        state, config, host = facts.get("State") or {}, facts.get("Config") or {}, facts.get("HostConfig") or {}
        return cls(
            id=str(facts["Id"]),
            name=str(facts.get("Name") or facts["Id"][:12]).lstrip("/"),
            running=bool(state.get("Running")) and not state.get("Paused") and not state.get("Restarting"),
            labels=dict(config.get("Labels") or {}),
            requests=tuple(_requests(host.get("DeviceRequests") or ())),
            visible_devices=_variable(config.get("Env") or (), "NVIDIA_VISIBLE_DEVICES"),
        )


def _requests(entries: Sequence[Mapping[str, Any]]) -> list[GpuRequest]:
    """The device requests that are about NVIDIA's GPUs: by capability, or by their CDI name."""
    found = []
    for entry in entries:
        names = [str(name) for name in entry.get("DeviceIDs") or ()]
        if entry.get("Driver") == "cdi":
            names = [name.partition("=")[2] for name in names if name.startswith("nvidia.com/gpu=")]
            if names:
                found.append(GpuRequest(-1 if "all" in names else 0, tuple(x for x in names if x != "all")))
        elif any("gpu" in capabilities for capabilities in entry.get("Capabilities") or ()):
            found.append(GpuRequest(int(entry.get("Count") or 0), tuple(names)))
    return found


def _variable(environment: Sequence[str], name: str) -> str | None:
    """The value of an environment variable; where it is given twice the last one holds."""
    values = [text.partition("=")[2] for text in environment if text.startswith(f"{name}=")]
    return values[-1] if values else None
