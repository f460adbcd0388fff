"""A real meter on the mock NVML in virtual time: minutes of metering in a second, every joule known."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from joulemark.ledger.state import StageRequest
from joulemark.ledger.windows import Totals
from joulemark.meter.meter import Meter, Result
from joulemark.sources.nvml import NvmlSource

from .machine import Machine
from .script import Constant, Gpu, Shape


@dataclass(frozen=True)
class StageError:
    """What one stage on one device came to: joules in truth and booked, the stated bound, the power integral."""

    device: str
    stage: str
    truth: float
    joules: float
    bound: float
    integral: float

    @property
    def error(self) -> float:
        """Booked less true, in joules."""
        return self.joules - self.truth

    @property
    def ratio(self) -> float:
        """The error's size as a part of the truth."""
        return abs(self.error) / self.truth

    @property
    def holds(self) -> bool:
        """Whether the error is within the stated bound."""
        return abs(self.error) <= self.bound + 1e-6


class _Meter(Meter):
    """Knows whether a transition was made whose reading is still to come: without threads nobody else makes it."""

    handed_over = False

    # What happens at the very instant of the next transition: readings before and after that take their time.
    at_instant: Callable[[], None] = staticmethod(lambda: None)

    def _transition(self, change: Callable[[float, float], Result]) -> Result:
        def at_its_instant(now: float, wall: float) -> Result:
            self.at_instant()
            return change(now, wall)

        result = super()._transition(at_its_instant)
        self.handed_over = True
        return result


@dataclass
class VirtualBench:
    """A meter, the scripted GPUs it reads, and a clock that they share.

    Readings are made when the real sampler would make them, late by an exponential time of mean `wake_seconds`.
    """

    library: Path
    folder: Path
    gpus: list[Gpu]
    seed: int = 0
    interval: float = 0.1
    wake_seconds: float = 0.0003
    use_counter: bool = True
    # The driver's folder in sysfs, where another load of the driver is to be told.
    module: Path = Path("/sys/module/nvidia")
    stamps: list[tuple[float, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        machine = Machine(self.library, self.folder, self.gpus, start=1000.0 + self.random.random())
        self.clock, self.script = machine.clock, machine.script
        self.state = self.script.path.with_name(f"state-of-{self.script.path.name}")
        self.start()

    def start(self) -> None:
        """Start the meter, for the first time or again."""
        self.source = NvmlSource(self.clock, use_counter=self.use_counter, module=self.module)
        self.meter = _Meter([self.source], self.state, self.clock, interval=self.interval)
        self._committed = self._recovered = self.clock.steady()

    def stop(self) -> None:
        """End without a last reading or commit, as SIGKILL does; may be called again."""
        self.meter._store.close()
        self.meter.fleet.close()

    def wait(self, seconds: float) -> None:
        """Let time pass with the sampler at work."""
        self.run_until(self.clock.steady() + seconds)

    def run_until(self, end: float) -> None:
        """Sample, commit and recover as the exporter's threads do, until an instant; all that was read is booked."""
        self.go_on_until(end)
        self.meter.fleet.book()

    def go_on_until(self, end: float) -> None:
        """The same without that: what was read last may wait."""
        if self.meter.handed_over:
            self.meter.handed_over = False
            self.meter.fleet.plan_order()()
        while True:
            due = max(self.meter.fleet.next_reading(), self.clock.steady())
            if due >= end:
                self.clock.move_to(end)
                return
            self.clock.move_to(due + self.random.expovariate(1 / self.wake_seconds))
            now = self.clock.steady()
            self.meter.fleet.look(now)
            if now - self._committed >= 1.0:
                self.meter.keep_up()
                self._committed = now
            if now - self._recovered >= 1.0:
                self.meter.recover()
                self._recovered = now

    def begin(self, stage: str, shape: Shape | None = None) -> None:
        """A transition to a stage, and at that instant to a shape of power on every GPU."""
        self.meter.at_instant = lambda: self._stamp(stage, shape)
        summary, _ = self.meter.begin(StageRequest("run", stage))
        self._window = str(summary["id"])

    def end(self, shape: Shape | None = None) -> None:
        """The last stage ends."""
        self.meter.at_instant = lambda: self._stamp(None, shape)
        self.meter.end(self._window, {})

    def run(self, stages: Sequence[tuple[str, float, Shape]], idle: float = 60.0) -> list[StageError]:
        """One stage after another, then idle until all is settled; what each came to."""
        for name, seconds, shape in stages:
            self.begin(name, shape)
            self.go_on_until(self.stamps[-1][0] + seconds)
        self.end(Constant(idle))
        self.wait(3.0)
        return self.errors()

    def run_lagging(
        self, stages: Sequence[tuple[str, float, Shape]], lag: Callable[[], float], idle: float = 60.0
    ) -> list[StageError]:
        """The same with power that changes so many seconds after each transition, before it where that is negative."""
        at = self.clock.steady() + 1.0
        begins = []
        for _, seconds, shape in stages:
            begins.append(at)
            self.script.power(at + lag(), shape)
            at += seconds
        self.script.power(at + lag(), Constant(idle))
        self.script.save()
        for begin, (name, _, _) in zip(begins, stages, strict=True):
            self.go_on_until(begin)
            self.begin(name)
        self.go_on_until(at)
        self.end()
        self.wait(3.0)
        return self.errors()

    def errors(self) -> list[StageError]:
        """What every stage on every GPU came to."""
        found = []
        for index, gpu in enumerate(self.gpus):
            truth: dict[str, float] = {}
            for (begin, stage), (end, _) in itertools.pairwise(self.stamps):
                if stage:
                    truth[stage] = truth.get(stage, 0.0) + gpu.joules(begin, end)
            key = self.source.devices[index].key
            found += [self._error(f"gpu{index}", key, stage, joules) for stage, joules in truth.items()]
        return found

    def residual(self) -> float:
        """Joules by which the stages miss the devices' totals: 0 but for float rounding."""
        state = self.meter.ledger.state
        stages = math.fsum(joules for totals in state.series.values() for joules in totals.joules.values())
        return stages - math.fsum(account.total_joules for account in state.accounts.values())

    def _stamp(self, stage: str | None, shape: Shape | None) -> None:
        now = self.clock.steady()
        self.stamps.append((now, stage))
        if shape:
            self.script.power(now, shape)
            self.script.save()

    def _error(self, device: str, key: str, stage: str, truth: float) -> StageError:
        windows = [x for x in self._windows() if x[0] == stage]
        joules = sum(totals.joules.get(key, 0.0) for _, totals in windows)
        integral = sum(totals.integral_joules.get(key, 0.0) for _, totals in windows)
        bound = sum(totals.uncertainty_joules for _, totals in windows)
        return StageError(device, stage, truth, joules, bound, integral)

    def _windows(self) -> list[tuple[str, Totals]]:
        return [(key.stage, totals) for key, totals in self.meter.ledger.state.series.items() if key.run == "run"]
