"""From the GPUs that a container was given to the exporter's devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ClientError, InvalidField
from ..visible_devices import gpus_of, resolve
from .container import DEVICES_LABEL, Container

# How NVIDIA's container runtime says that there are none.
_NONE = ("", "none", "void")


def given_devices(container: Container, known: Mapping[str, str]) -> list[str] | None:
    """The devices that a container holds, None for all; raises InvalidField for what cannot be told.

    `known` maps the exporter's device names to UUIDs. The label comes first, then device requests, then
    NVIDIA_VISIBLE_DEVICES. A container with only some of the GPUs holds those alone, one with none all that is no GPU.
    """
    label = container.labels.get(DEVICES_LABEL)
    if label is not None:
        return _named([name.strip() for name in label.split(",") if name.strip()], known, f"label {DEVICES_LABEL}")
    gpus = gpus_of(known)
    names = _given_names(container, gpus)
    if names is None or not gpus:
        return None
    found = _named(names, known, "the GPUs it was given") if names else []
    if set(found) == set(gpus):
        return None
    return found or [device for device in known if device not in gpus] or _nothing_left()


def _given_names(container: Container, gpus: Sequence[str]) -> list[str] | None:
    """What names the GPUs that were given, None for all."""
    if container.requests:
        if any(request.count < 0 for request in container.requests):
            return None
        # The engine gives the first so many, by NVML's numbers.
        return [name for r in container.requests for name in (*r.ids, *gpus[: r.count])]
    visible = container.visible_devices
    if visible is None or visible == "all":
        return None
    return [] if visible in _NONE else [name.strip() for name in visible.split(",") if name.strip()]


def _named(names: list[str], known: Mapping[str, str], said: str) -> list[str]:
    try:
        return resolve([_as_device(name) for name in names], None, known) or _nothing_left()
    except ClientError as error:
        raise InvalidField(
            f"{said}: {error}", field="devices", remedy=f"give the container a label {DEVICES_LABEL}, e.g. gpu0,gpu1"
        ) from error


def _as_device(name: str) -> str:
    """NVIDIA's numbers are NVML's, as ours are; a MIG instance is also written BOARD:INSTANCE."""
    if name.isdecimal():
        return f"gpu{int(name)}"
    return f"MIG-{name}" if ":" in name and name.replace(":", "").isdecimal() else name


def _nothing_left() -> list[str]:
    raise InvalidField(
        "the container was given no GPU, and nothing but GPUs is read here", field="devices",
        remedy=f"take its labels away, or name devices in {DEVICES_LABEL}",
    )  # fmt: skip
