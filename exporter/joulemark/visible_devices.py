"""From what a job calls its devices to what the exporter calls them, through CUDA_VISIBLE_DEVICES.

Numbers in CUDA_VISIBLE_DEVICES are NVML's, which are CUDA's own only with CUDA_DEVICE_ORDER=PCI_BUS_ID: where unlike
GPUs are in one machine, set that too or name UUIDs. What is known of the exporter is its devices, name to UUID.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import ClientError

VARIABLE = "CUDA_VISIBLE_DEVICES"
Devices = Sequence[str | int]

_GPU = re.compile(r"gpu\d+", re.ASCII)
_ORDINAL = re.compile(r"(?:cuda:)?(\d{1,9})", re.ASCII)
# CUDA reads a number like C's strtol: what follows it is not looked at.
_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


class MigInstance(ClientError):
    """A MIG instance was named, but only its whole board is measured."""

    def __init__(self, instance: str) -> None:
        super().__init__(
            f"{instance} is a MIG instance and energy is known for the whole board only (name the board, e.g. "
            'devices=["gpu0"], share=True when other instances work for other runs)'
        )


class DeviceNames:
    """Resolves what the stages of one run name, and keeps each answer; `ask` gets the exporter's devices."""

    def __init__(self, ask: Callable[[], Any], *, strict: bool) -> None:
        self._ask = ask
        self._strict = strict
        self._answers: dict[tuple[tuple[str, ...] | None, str | None], list[str] | None] = {}

    def resolve(self, devices: Devices | None, environment: str | None) -> list[str] | None:
        """The exporter's names, None for all devices; asks it only when they depend on what it has."""
        named = None if devices is None else _texts(devices)
        if not _depends(named, environment):
            return None if named is None else list(named)
        key = (named, environment)
        if key not in self._answers:
            known = self._known()
            try:
                self._answers[key] = resolve(named, environment, known)
            except MigInstance as error:
                if self._strict or named is not None:
                    raise
                self._answers[key] = None
                warnings.warn(f"joulemark: {error}; till then all devices are held", RuntimeWarning, stacklevel=2)
        return self._answers[key]

    def _known(self) -> dict[str, str]:
        try:
            return {str(device["device"]): str(device["uuid"]) for device in self._ask()}
        except (KeyError, TypeError) as error:
            raise ClientError("the exporter's list of devices cannot be read (is it another release?)") from error


def resolve(named: Sequence[str] | None, environment: str | None, known: Mapping[str, str]) -> list[str] | None:
    """The exporter's names of the devices of a stage, None for all; raises ClientError for what is not there."""
    if named is None:
        return _unnamed(environment, known)
    found = [device for name in named for device in _meant(name, environment, known)]
    if named and not found:
        raise ClientError(f"{VARIABLE}={environment or ''!r} shows this job no GPU (name other devices)")
    return list(dict.fromkeys(found))


def visible_gpus(environment: str | None, known: Mapping[str, str]) -> list[str]:
    """The GPUs that CUDA shows the job, in its order; raises MigInstance.

    As in CUDA the list ends at the first entry that is no GPU, and shows none when it holds one twice.
    """
    if environment is None:
        return gpus_of(known)
    entries = [entry.strip() for entry in environment.split(",")]
    by_uuid = entries[0].startswith("GPU-")
    found: list[str] = []
    for entry in entries:
        if entry.startswith("MIG-"):
            raise MigInstance(entry)
        gpu = _by_uuid(entry, known) if by_uuid else _by_number(entry, known)
        if gpu is None:
            break
        if gpu in found:
            return []
        found.append(gpu)
    return found


def _unnamed(environment: str | None, known: Mapping[str, str]) -> list[str] | None:
    gpus = gpus_of(known)
    if environment is None or not gpus:
        return None
    visible = visible_gpus(environment, known)
    if len(visible) == len(gpus):
        return None
    found = visible or [device for device in known if device not in gpus]
    if not found:
        raise ClientError(f"{VARIABLE}={environment!r} shows this job no GPU and the exporter reads nothing else")
    return found


def _meant(name: str, environment: str | None, known: Mapping[str, str]) -> list[str]:
    """The devices that one item of `devices` means."""
    if name.startswith("MIG-"):
        raise MigInstance(name)
    if name.startswith("GPU-"):
        gpu = _by_uuid(name, known)
        if gpu is None:
            raise ClientError(f"{name} is not the beginning of one GPU's UUID (GET /api/v1/devices lists them)")
        return [gpu]
    ordinal = _ORDINAL.fullmatch(name)
    if name != "cuda" and not ordinal:
        return [name]
    visible = visible_gpus(environment, known)
    if ordinal is None:
        return visible
    if int(ordinal[1]) >= len(visible):
        shown = "" if environment is None else f" by {VARIABLE}={environment!r}"
        raise ClientError(f"CUDA device {ordinal[1]} is not there: {len(visible)} GPUs are visible{shown}")
    return [visible[int(ordinal[1])]]


def _depends(named: Sequence[str] | None, environment: str | None) -> bool:
    """Whether the names depend on which devices the exporter has."""
    if named is None:
        return environment is not None
    return any(name == "cuda" or name.startswith(("GPU-", "MIG-")) or _ORDINAL.fullmatch(name) for name in named)


def _texts(devices: Devices) -> tuple[str, ...]:
    return (devices,) if isinstance(devices, str) else tuple(str(device) for device in devices)


def gpus_of(known: Mapping[str, str]) -> list[str]:
    """The GPUs among the devices, in the order of their numbers."""
    return sorted((name for name in known if _GPU.fullmatch(name)), key=lambda name: int(name[3:]))


def _by_number(entry: str, known: Mapping[str, str]) -> str | None:
    number = _NUMBER.match(entry)
    name = f"gpu{int(number[0])}" if number else ""
    return name if name in known else None


def _by_uuid(entry: str, known: Mapping[str, str]) -> str | None:
    """The GPU whose UUID begins so, None when there is not exactly one."""
    found = [name for name, uuid in known.items() if entry.startswith("GPU-") and uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None
