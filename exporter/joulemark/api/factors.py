"""The call that tells what CO2e and cost are derived with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ..meter.meter import Meter
from .answers import FactorsRecord
from .problems import READ, refusals


def router(meter: Meter) -> APIRouter:
    """The call over this meter."""
    calls = APIRouter(tags=["devices"])

    @calls.get("/factors", response_model=FactorsRecord, responses=refusals(*READ))
    async def factors() -> dict[str, Any]:
        """PUE, the grid's carbon intensity and the price of a kWh, as configured; null is not configured."""
        return meter.factors.as_json()

    return calls
