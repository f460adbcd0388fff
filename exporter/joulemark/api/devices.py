"""The call that lists the devices and how reading them goes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ..ledger.snapshot import DeviceView
from ..meter.meter import Meter
from .answers import DeviceRecord
from .problems import READ, refusals
from .threads import READS, in_thread


def router(meter: Meter) -> APIRouter:
    """The call over this meter."""
    calls = APIRouter(tags=["devices"])

    @calls.get("/devices", response_model=list[DeviceRecord], responses=refusals(*READ))
    async def devices() -> list[dict[str, Any]]:
        """The devices: watts, joules so far, source and its health, and whether the energy is modelled."""
        return [_record(view) for view in await in_thread(READS, meter.devices)]

    return calls


def _record(view: DeviceView) -> dict[str, Any]:
    return {
        "device": view.device.name,
        "uuid": view.device.key,
        "model": view.device.model,
        "driver": view.device.driver,
        "source": view.source,
        "modelled": view.device.modelled,
        "mig": view.device.mig,
        "up": view.health.up,
        "watts": view.watts,
        "joules": view.joules,
        "tick_seconds": view.tick_seconds,
        "disagreement_ratio": view.disagreement_ratio,
        "gap_seconds": view.gap_seconds,
        "last_read_at": view.health.last_read_at,
        "errors": dict(view.health.errors),
    }
