"""Who holds which device: for each run a stack of windows, whose top holds the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Lanes:
    """One lane per run on each device; a nested window lies on top of the one it suspends."""

    def __init__(self) -> None:
        self._stacks: dict[str, dict[str, list[str]]] = {}

    def __contains__(self, device: object) -> bool:
        return device in self._stacks

    def __iter__(self) -> Iterator[str]:
        return iter(self._stacks)

    def open(self, device: str) -> None:
        """Make a device known; what holds it stays."""
        self._stacks.setdefault(device, {})

    def close(self, device: str) -> None:
        """Forget a device."""
        self._stacks.pop(device, None)

    def push(self, device: str, run: str, window: str) -> None:
        """Put a window on top of its run's stack."""
        self._stacks[device].setdefault(run, []).append(window)

    def remove(self, device: str, run: str, window: str) -> None:
        """Take a window out, wherever in the stack it lies; the one below it holds the device again."""
        lanes = self._stacks.get(device, {})
        if window in lanes.get(run, []):
            lanes[run].remove(window)
        if not lanes.get(run, [""]):
            del lanes[run]

    def holders(self, device: str) -> tuple[str, ...]:
        """The windows that hold the device now: one, or several that share it."""
        return tuple([stack[-1] for _, stack in sorted(self._stacks[device].items())])

    def top(self, run: str, devices: Iterable[str]) -> str | None:
        """The run's window that holds one of these devices, None when it holds none."""
        tops = {self._stacks[device][run][-1] for device in devices if run in self._stacks[device]}
        return min(tops, default=None)

    def of_others(self, run: str, device: str) -> list[str]:
        """The windows of other runs that hold the device."""
        return [stack[-1] for name, stack in self._stacks[device].items() if name != run]
