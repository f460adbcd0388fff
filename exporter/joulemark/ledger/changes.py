"""What of the ledger has changed since it was last taken away to disk, and since it was last shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .state import Counts, Run, State
from .windows import SeriesKey, Window


@dataclass
class Changes:
    """Names of what changed; `stale` are the series that the next picture must look at anew.

    `picture` is the number of the picture that is made next.
    """

    state: State
    devices: set[str] = field(default_factory=set)
    windows: set[str] = field(default_factory=set)
    series: set[SeriesKey] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    # Runs whose scores or artifacts changed.
    facts: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)
    pruned: set[str] = field(default_factory=set)
    # Runs that left memory, and names of those that are to leave the disk too.
    left: dict[str, Run] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    stale: set[SeriesKey] = field(default_factory=set)
    # The exporter's own counts as they were when they were taken away; None when they never were.
    counts: Counts | None = None
    picture: int = 1

    def of_series(self, key: SeriesKey) -> None:
        """The totals of a series changed."""
        self.series.add(key)
        self.stale.add(key)
        run = self.state.runs.get(key.run)
        if run is not None:
            run.changed_in = self.picture

    def of_window(self, window: Window) -> None:
        """A window changed, and with it its series."""
        self.windows.add(window.id)
        self.of_series(window.key)

    def of_run(self, name: str) -> None:
        """What is said of a run changed."""
        self.runs.add(name)
        self.state.runs[name].changed_in = self.picture

    def forget(self, run: str, devices: set[str]) -> None:
        """A run is to leave the disk; its joules on these devices are counted as pruned."""
        self.forgotten.add(run)
        self.pruned |= devices
        self.runs.discard(run)
        self.facts.discard(run)
        self.left.pop(run, None)
        self.series = {key for key in self.series if key.run != run}

    def everything(self) -> None:
        """Save all anew: the file has lost what it had."""
        state = self.state
        self.devices |= set(state.accounts)
        self.windows |= set(state.windows)
        self.series |= set(state.series)
        self.runs |= set(state.runs)
        self.facts |= set(state.runs)
        self.requests |= set(state.answered)
        self.pruned |= set(state.pruned)
        self.counts = None

    def saved(self) -> None:
        """All of it was taken away to disk."""
        changed = (self.devices, self.windows, self.series, self.runs, self.facts, self.requests, self.pruned)
        for names in (*changed, self.forgotten, self.left):
            names.clear()
        if self.counts != self.state.counts:
            self.counts = replace(self.state.counts)
