"""CPU package and DRAM energy from the powercap counters (RAPL), wrap-safe per zone.

The kernel's driver calls its zones intel-rapl on AMD machines too. A package may show in several trees.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals

log = logging.getLogger(__name__)

NAME = "rapl"
# In the order in which they are preferred.
_TREES = ("intel-rapl", "amd-rapl", "intel-rapl-mmio")
_ZONE = re.compile(rf"({'|'.join(_TREES)}):\d+(:\d+)?")


class RaplSource:
    """One device per RAPL package (`cpu0`, …) and per DRAM zone (`dram0`, …)."""

    def __init__(self, clock: Clock, *, powercap: Path = Path("/sys/class/powercap")) -> None:
        self._clock = clock
        self._files: dict[str, Path] = {}
        self._previous: dict[str, tuple[float, float]] = {}
        self._devices: tuple[Device, ...] = ()
        counts = Counter[str]()
        # The zones of each counter that cannot be read, by its device's name.
        self._unreadable: dict[str, list[Path]] = {}
        for kind, zones in _counters(_zones(powercap)):
            # What cannot be read keeps its number, so that the others' names stay when it can be.
            self._unreadable[f"{kind}{counts[kind]}"] = zones
            counts[kind] += 1
        found = self._take_up()
        unreadable = [zones[0] / "energy_uj" for zones in self._unreadable.values()]
        if not found:
            raise SourceUnavailable(_why_none(powercap, unreadable))
        if unreadable:
            log.warning("source=rapl %s", _why_unreadable(powercap, unreadable))

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def _take_up(self) -> list[str]:
        """Take up the counters that can be read by now; returns their devices' names."""
        readable = {}
        for name, zones in self._unreadable.items():
            if zone := next((zone for zone in zones if _readable(zone / "energy_uj")), None):
                readable[name] = zone
        for name, zone in readable.items():
            device = _device(zone, name, self._clock.boot())
            self._files[device.key] = zone / "energy_uj"
            self._devices += (device,)
            del self._unreadable[name]
        return list(readable)

    def read(self, device: Device, *, power: bool = True) -> Reading:
        del power
        try:
            joules = int(self._files[device.key].read_text()) / 1e6
        except (OSError, ValueError) as error:
            reason = "permission_denied" if isinstance(error, PermissionError) else "powercap"
            raise ReadFailed(reason, str(error)) from error
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

    def recover(self, failing: frozenset[str]) -> None:
        del failing
        for name in self._take_up():
            log.warning("source=rapl device=%s can be read now", name)

    def close(self) -> None:
        return None


def _zones(powercap: Path) -> dict[str, Path]:
    """Zones by their unique names; in a container the folder may be the tree itself, with zones inside of zones."""
    found: dict[str, Path] = {}
    folders = [powercap]
    while folders:
        inside = _inside(folders.pop(0))
        found.update((path.name, path) for path in inside if _ZONE.fullmatch(path.name) and path.name not in found)
        folders += [path for path in inside if path.name in _TREES or path == found.get(path.name)]
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _place(zone: str) -> list[int]:
    tree, *numbers = zone.split(":")
    return [_TREES.index(tree), *map(int, numbers)]


def _counters(zones: Mapping[str, Path]) -> list[tuple[str, list[Path]]]:
    """Each counter once: its kind, and the zones of all trees that show it, the preferred one first."""
    labels = {name: _text(path / "name") or "" for name, path in zones.items()}
    found: dict[tuple[str, str, int], list[Path]] = {}
    seen = Counter[tuple[str, str, str]]()
    for name, path in zones.items():
        kind = _kind(labels[name])
        if kind is None:
            continue
        tree = name.partition(":")[0]
        package = labels.get(name.rpartition(":")[0], "") if kind == "dram" else labels[name]
        # Two of one name in the same tree are two: only another tree shows the same again.
        key = (kind, package, seen[tree, kind, package])
        seen[tree, kind, package] += 1
        found.setdefault(key, []).append(path)
    return [(kind, paths) for (kind, _, _), paths in found.items()]


def _kind(label: str) -> str | None:
    if label.startswith("package"):
        return "cpu"
    # psys, core and uncore are inside or around the package: counting them too would count joules twice.
    return "dram" if label == "dram" else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return None


def _readable(path: Path) -> bool:
    return _text(path) is not None


def _units(path: Path) -> float | None:
    """A positive number of millionths as units; None where there is none to be read."""
    text = _text(path) or ""
    return int(text) / 1e6 if text.isdecimal() and int(text) > 0 else None


def _device(zone: Path, name: str, boot: str) -> Device:
    limit = _units(zone / "constraint_0_max_power_uw")
    return Device(
        name=name,
        key=zone.name,
        source=NAME,
        model=_text(zone / "name") or "",
        epoch=boot,
        # The long-term limit may be exceeded for seconds; four times it is still not absurd.
        power_limit_watts=4 * limit if limit else 2000.0,
        wrap_joules=_units(zone / "max_energy_range_uj"),
        tick_seconds=0.001,
    )


def _why_none(powercap: Path, unreadable: Sequence[Path]) -> str:
    if unreadable:
        return _why_unreadable(powercap, unreadable)
    return (
        f"no RAPL package under {powercap}: this machine (often a virtual one) does not expose it, or its container "
        f"hides it: mount the host's /sys/devices/virtual/powercap read-only at {powercap}"
    )


def _why_unreadable(powercap: Path, unreadable: Sequence[Path]) -> str:
    files = f"{powercap}/*/energy_uj"
    return (
        f"{', '.join(map(str, unreadable))} not readable for this user: until the next reboot "
        f"'sudo chmod a+r {files}'; for good the line 'z {files} 0444' in /etc/tmpfiles.d/joulemark.conf, or "
        "AmbientCapabilities=CAP_DAC_READ_SEARCH in the exporter's systemd unit; in a container do so on the host and "
        f"mount its /sys/devices/virtual/powercap read-only at {powercap}"
    )
