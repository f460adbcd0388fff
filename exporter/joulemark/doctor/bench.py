"""Takes every device through the same steps, all devices at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..sources.base import Source
from ..sources.nvml import NvmlSource
from ..sources.nvml_facts import nvml_state
from .call_times import time_calls
from .comparison import watch
from .facts import Condition, DeviceFacts, GpuState, LoadState
from .load import Load, torch_is_there
from .side_by_side import Progress, side_by_side
from .tick_times import watch_ticks

# Parts of the time for each step; a gauge that averages and a chip that warms up want the load to have run a while.
_CALLS, _TICKS, _AS_FOUND, _WARM_UP, _UNDER_LOAD = 0.1, 0.15, 0.3, 0.1, 0.35
# What has one estimator only is read just to see that it can be.
_GLANCE = 0.02
# A step that takes so much longer than it should has a call in it that does not return.
_PATIENCE_SECONDS = 5.0


class Bench:
    """Measures latency, ticks, and both estimators as found and under a load; `devices` has what came of it."""

    def __init__(self, sources: Sequence[Source], progress: Progress, seconds: float) -> None:
        self._sources = sources
        self._source_of = {device.key: source for source in sources for device in source.devices}
        self.devices = [DeviceFacts(device) for source in sources for device in source.devices]
        self._progress = progress
        self._seconds = seconds

    def run(self, load: bool | None) -> LoadState:
        """Go through all steps; `load` says whether one of our own is wanted, None: where nobody uses the GPUs."""
        self._step("reading its state", 0.0, self._look_at_state)
        self._step("timing driver calls", _CALLS, self._time_calls)
        self._step("watching the counter tick", _TICKS, self._watch_ticks)
        share = _AS_FOUND if any(facts.device.gauge for facts in self.devices) else _GLANCE
        self._step("comparing estimators as found", share, self._comparing("as_found", share))
        return self._under_load(load)

    def close(self) -> None:
        """Let go of the sources; a driver with a call stuck in it is left to the end of the process."""
        if not any(facts.hung for facts in self.devices):
            for source in self._sources:
                source.close()

    def _under_load(self, wanted: bool | None) -> LoadState:
        reason = self._why_no_load(wanted)
        if reason:
            return LoadState(False, reason)
        self._progress.step("starting a load", 10)
        with Load() as load:
            if load.state.ran:
                warm_up = max(1.5, _WARM_UP * self._seconds)
                self._progress.step("warming up under load", warm_up)
                time.sleep(warm_up)
                self._step("comparing estimators under load", _UNDER_LOAD, self._comparing("under_load", _UNDER_LOAD))
            return load.state

    def _why_no_load(self, wanted: bool | None) -> str:
        gpus = [facts for facts in self.devices if facts.device.gauge and not facts.hung]
        busy = ", ".join(facts.device.name for facts in gpus if facts.state.busy)
        if not gpus:
            return "there is no GPU to load"
        if wanted is False:
            return "not wanted (--no-load)"
        if wanted is None and busy:
            return f"{busy} in use by a job, which must not suffer"
        return "" if torch_is_there() else "PyTorch is not installed in this Python environment"

    def _step(self, what: str, share: float, job: Callable[[DeviceFacts], None]) -> None:
        """Do one step for every device; one whose step does not end is hung and left alone from then on."""
        seconds = share * self._seconds
        self._progress.step(what, seconds)
        at_work = {facts.device.key: facts for facts in self.devices if not facts.hung}
        jobs = {key: _bound(job, facts) for key, facts in at_work.items()}
        done = side_by_side(jobs, 2 * seconds + _PATIENCE_SECONDS, self._progress.passed)
        for key in at_work.keys() - done.keys():
            at_work[key].hung = what

    def _look_at_state(self, facts: DeviceFacts) -> None:
        source = self._source_of[facts.device.key]
        if isinstance(source, NvmlSource):
            vitals, told = source.vitals(facts.device), nvml_state(facts.device.key)
            used = vitals.utilization_ratio if vitals else None
            facts.state = GpuState(used, told.compute_processes, told.persistence)

    def _time_calls(self, facts: DeviceFacts) -> None:
        source, device = self._source_of[facts.device.key], facts.device
        calls: dict[str, Callable[[], object]] = {"counter": lambda: source.read(device)}
        if isinstance(source, NvmlSource):
            calls = dict(source.calls(device))
        facts.calls = time_calls(calls, _CALLS * self._seconds)

    def _watch_ticks(self, facts: DeviceFacts) -> None:
        facts.tick = watch_ticks(self._source_of[facts.device.key], facts.device, _TICKS * self._seconds)

    def _comparing(self, condition: Condition, share: float) -> Callable[[DeviceFacts], None]:
        def compare(facts: DeviceFacts) -> None:
            source = self._source_of[facts.device.key]
            facts.comparisons.append(watch(source, facts.device, share * self._seconds, condition))

        return compare


def _bound(job: Callable[[DeviceFacts], None], facts: DeviceFacts) -> Callable[[], None]:
    return lambda: job(facts)
