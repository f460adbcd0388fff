"""CPU power from a model: idle + (TDP - idle) x utilisation. Modelled, and called so everywhere it shows."""

from __future__ import annotations

import os
from pathlib import Path

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals

NAME = "cpu_model"
# Assumed, not measured: about a server's package TDP divided by its hardware threads (280 W / 64 = 4.4).
TDP_WATTS_PER_THREAD = 5.0
# Assumed, not measured: a package at rest draws about a fifth of its TDP.
IDLE_SHARE_OF_TDP = 0.2


class CpuModelSource:
    """All CPUs of this machine as one modelled device, `cpu0`.

    Energy since boot in joules is idle_watts x uptime + (tdp_watts - idle_watts) x busy time / threads, so that
    a restarted exporter reads on where it stopped, as it would with a hardware counter.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tdp_watts: float | None = None,
        idle_watts: float | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        self._clock = clock
        self._stat = proc / "stat"
        if not self._stat.exists():
            raise SourceUnavailable(f"{self._stat} is missing: the CPU model needs Linux")
        self._threads = os.cpu_count() or 1
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._tdp = tdp_watts if tdp_watts is not None else TDP_WATTS_PER_THREAD * self._threads
        self._idle = idle_watts if idle_watts is not None else IDLE_SHARE_OF_TDP * self._tdp
        self._energy = 0.0
        self._previous: tuple[float, float] | None = None
        self._watts: float | None = None
        self._device = Device(
            name="cpu0",
            key="cpu_model:0",
            source=NAME,
            model=f"{_cpu_name(proc)} (modelled: {self._idle:g} W idle, {self._tdp:g} W TDP)",
            epoch=clock.boot(),
            power_limit_watts=self._tdp,
            # /proc/stat counts in clock ticks, one per thread.
            tick_seconds=1.0 / self._hertz,
            modelled=True,
        )

    @property
    def devices(self) -> tuple[Device, ...]:
        return (self._device,)

    def read(self, device: Device, *, power: bool = True) -> Reading:
        del device, power
        now = self._clock.steady()
        busy = self._busy_seconds()
        energy = self._idle * now + (self._tdp - self._idle) * busy / self._threads
        # A tick that arrives late would show more busy time than time has passed.
        self._energy = max(self._energy, energy)
        # Clock ticks are too coarse for the power of a few milliseconds: look back a tenth of a second at least.
        if self._previous is None:
            self._previous = (now, self._energy)
        elif now - self._previous[0] >= 0.09:
            then, before = self._previous
            self._watts = (self._energy - before) / (now - then)
            self._previous = (now, self._energy)
        return Reading(steady=now, energy_joules=self._energy, watts=self._watts)

    def vitals(self, device: Device) -> Vitals | None:
        del device
        return None

    def recover(self, failing: frozenset[str]) -> None:
        del failing

    def close(self) -> None:
        return None

    def _busy_seconds(self) -> float:
        try:
            fields = self._stat.read_text().split("\n", 1)[0].split()
            user, nice, system, _idle, _iowait, irq, softirq = (int(x) for x in fields[1:8])
        except (OSError, ValueError) as error:
            raise ReadFailed("proc_stat", str(error)) from error
        return (user + nice + system + irq + softirq) / self._hertz


def _cpu_name(proc: Path) -> str:
    try:
        lines = (proc / "cpuinfo").read_text().splitlines()
    except OSError:
        return "CPU"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
