"""CPU package and DRAM energy from the powercap counters (RAPL), wrap-safe per zone."""

from __future__ import annotations

import re
from pathlib import Path

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals

NAME = "rapl"
_ZONE = re.compile(r"(intel|amd)-rapl:\d+(:\d+)?")


class RaplSource:
    """One device per RAPL package (`cpu0`, …) and per DRAM zone (`dram0`, …)."""

    def __init__(self, clock: Clock, *, powercap: Path = Path("/sys/class/powercap")) -> None:
        self._clock = clock
        self._files: dict[str, Path] = {}
        self._previous: dict[str, tuple[float, float]] = {}
        found: list[Device] = []
        unreadable: list[Path] = []
        counts = {"cpu": 0, "dram": 0}
        for zone in _zones(powercap):
            kind = _kind(zone)
            energy = zone / "energy_uj"
            if kind is None:
                continue
            if not _readable(energy):
                unreadable.append(energy)
                continue
            device = _device(zone, f"{kind}{counts[kind]}", clock.boot())
            counts[kind] += 1
            self._files[device.key] = energy
            found.append(device)
        if not found:
            raise SourceUnavailable(_why_none(powercap, unreadable))
        self._devices = tuple(found)

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def read(self, device: Device) -> Reading:
        try:
            joules = int(self._files[device.key].read_text()) / 1e6
        except (OSError, ValueError) as error:
            raise ReadFailed("powercap", str(error)) from error
        now = self._clock.steady()
        watts = None
        if device.key in self._previous:
            then, before = self._previous[device.key]
            gained = joules - before
            if gained < 0 and device.wrap_joules:
                gained += device.wrap_joules
            if now > then and gained >= 0:
                watts = gained / (now - then)
        self._previous[device.key] = (now, joules)
        return Reading(steady=now, energy_joules=joules, watts=watts)

    def vitals(self, device: Device) -> Vitals | None:
        del device
        return None

    def close(self) -> None:
        return None


def _zones(powercap: Path) -> list[Path]:
    if not powercap.is_dir():
        return []
    zones = [path for path in powercap.iterdir() if _ZONE.fullmatch(path.name)]
    return sorted(zones, key=lambda path: [int(part) for part in path.name.split(":")[1:]])


def _kind(zone: Path) -> str | None:
    try:
        name = (zone / "name").read_text().strip()
    except OSError:
        return None
    if name.startswith("package"):
        return "cpu"
    # psys, core and uncore are inside or around the package: counting them too would count joules twice.
    return "dram" if name == "dram" else None


def _readable(path: Path) -> bool:
    try:
        path.read_text()
    except OSError:
        return False
    return True


def _device(zone: Path, name: str, boot: str) -> Device:
    wrap = int((zone / "max_energy_range_uj").read_text()) / 1e6
    limit_file = zone / "constraint_0_max_power_uw"
    limit = int(limit_file.read_text()) / 1e6 if limit_file.exists() and _readable(limit_file) else 0.0
    return Device(
        name=name,
        key=zone.name,
        source=NAME,
        model=(zone / "name").read_text().strip(),
        epoch=boot,
        # The long-term limit may be exceeded for seconds; four times it is still not absurd.
        power_limit_watts=4 * limit if limit > 0 else 2000.0,
        wrap_joules=wrap,
        tick_seconds=0.001,
    )


def _why_none(powercap: Path, unreadable: list[Path]) -> str:
    if unreadable:
        return (
            f"{unreadable[0]} is not readable for this user: run as root, or once "
            f"'sudo chmod a+r {powercap}/*/energy_uj' (again after a reboot)"
        )
    return f"no RAPL package under {powercap}: this machine (often a virtual one) does not expose it"
