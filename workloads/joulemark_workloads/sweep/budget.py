"""How much energy and time may be used."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import BudgetSpent, WorkloadError

_JOULES_PER_KWH = 3.6e6


class Budget:
    """A limit of energy, of time, of both or of neither; time from now, energy in joules as `spent` says."""

    def __init__(
        self,
        spent: Callable[[], float | None],
        max_kwh: float | None,
        max_hours: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spent = spent
        self._max_kwh = max_kwh
        self._max_hours = max_hours
        self._clock = clock
        self._began = clock()
        if max_kwh is not None and spent() is None:
            raise WorkloadError("--max-kwh needs an exporter, and none answers: start 'joulemark serve', or see --url")

    def check(self) -> None:
        """Raise BudgetSpent where no more may be used; an exporter that is silent for now says nothing."""
        hours = (self._clock() - self._began) / 3600
        if self._max_hours is not None and hours >= self._max_hours:
            raise BudgetSpent(f"the time is up: {hours:.2f} of {self._max_hours:g} h; start again to go on")
        if self._max_kwh is not None:
            joules = self._spent() or 0.0
            if joules >= self._max_kwh * _JOULES_PER_KWH:
                raise BudgetSpent(
                    f"the energy is spent: {joules / _JOULES_PER_KWH:.4g} of {self._max_kwh:g} kWh; give more with "
                    "--max-kwh and start again to go on"
                )
