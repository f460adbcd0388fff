"""The cases: stages whose power is known in closed form, on cards of different sensors, through faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nvml_mock import Constant, Noise, Ramp, Square
from nvml_mock.script import Shape

Stages = list[tuple[str, float, Shape]]

FIVE: Stages = [
    ("prerun", 3.37, Constant(70)),
    ("data", 5.21, Constant(95)),
    ("teacher", 17.83, Square(180, 690, 2.7)),
    ("student", 21.4, Square(250, 640, 5)),
    ("eval", 4.19, Constant(310)),
]
TWENTY: Stages = [(f"stage{i:02}", 0.35, Constant((120, 650)[i % 2])) for i in range(20)]


def five_at(teacher_hertz: float, student_hertz: float) -> Stages:
    """The five stages with square waves of other frequencies."""
    hertz = {"teacher": teacher_hertz, "student": student_hertz}
    return [
        (name, seconds, Square(shape.low, shape.high, hertz[name]) if isinstance(shape, Square) else shape)
        for name, seconds, shape in FIVE
    ]


def drawn(chance: random.Random) -> Stages:
    """Three to ten stages of 3 to 15 s with constant, square, ramping or noisy power."""
    shapes: list[Callable[[float, float], Shape]] = [
        lambda _, high: Constant(high),
        lambda low, high: Square(low, high, chance.uniform(0.3, 20.0)),
        lambda low, high: Ramp(low, high, chance.uniform(0.5, 5.0)),
        lambda low, high: Noise(high, 0.5 * low, chance.randrange(1000)),
    ]
    stages: Stages = []
    for number in range(chance.randrange(3, 11)):
        low, high = sorted((chance.uniform(60, 700), chance.uniform(60, 700)))
        stages.append((f"stage{number}", chance.uniform(3.0, 15.0), chance.choice(shapes)(low, high)))
    return stages


def squares(chance: random.Random) -> Stages:
    """Five stages of 3 to 15 s, square waves of 2 to 8 Hz: about as fast as a gauge of 100 ms can show, and faster."""
    return [
        (f"stage{i}", chance.uniform(3.0, 15.0), Square(chance.uniform(60, 300), 650, chance.uniform(2.0, 8.0)))
        for i in range(5)
    ]


@dataclass(frozen=True)
class Fault:
    """A fault of the first GPU: its kind, when it begins and ends in seconds after the first stage began."""

    kind: str
    begin: float
    end: float = 0.0


class Wanted(NamedTuple):
    """Limits in percent: of the worst stage, of the mean stage, of the whole run; None where nothing is wanted."""

    worst: float | None = None
    mean: float | None = None
    total: float | None = None


_NOTHING = Wanted()


@dataclass(frozen=True)
class Case:
    """One row: the card's sensors, the stages, what goes wrong, and what is wanted of it.

    With `lags` power changes so many seconds after each transition, between the two: before it where that is negative.
    `best_today` is the best that another tool does in the same case, in words, "" where none was measured.
    """

    name: str
    stages: Callable[[random.Random], Stages]
    card: dict[str, float] = field(default_factory=dict)
    draw_card: bool = False
    gpus: int = 1
    use_counter: bool = True
    lags: tuple[float, float] | None = None
    faults: Sequence[Fault] = ()
    best_today: str = ""
    wanted: Wanted = _NOTHING


def _fixed(stages: Stages) -> Callable[[random.Random], Stages]:
    return lambda _: stages


_LONG = Wanted(worst=0.5, total=0.05)
_SHORT = Wanted(worst=3.0, mean=0.8, total=0.2)
_POWER = Wanted(worst=2.0, total=0.5)
_AVERAGED = {"average": 1.0, "instant": 0}

CASES = (
    Case("five stages, 100 ms tick", _fixed(FIVE), best_today="worst 2.2 % (ZeusMonitor, CodeCarbon)", wanted=_LONG),
    Case("five stages, 1 s average gauge", _fixed(FIVE), _AVERAGED, best_today="worst 2.2 %", wanted=_LONG),
    Case(
        "five stages, no counter",
        _fixed(FIVE),
        use_counter=False,
        best_today="worst -100 % (Zeus), -44 % (CodeCarbon), -4.8 % (the paper's harness)",
        wanted=_POWER,
    ),
    Case("twenty of 0.35 s, 100 ms tick", _fixed(TWENTY), best_today="worst 126 %, mean 40 % (Zeus)", wanted=_SHORT),
    Case(
        "twenty of 0.35 s, 20 ms tick",
        _fixed(TWENTY),
        {"tick": 0.02, "power_tick": 0.02},
        best_today="worst 26 %",
        wanted=_SHORT,
    ),
    Case("five stages, 20 ms tick", _fixed(FIVE), {"tick": 0.02, "power_tick": 0.02}, wanted=_LONG),
    Case("five stages, waves of 3.13 and 4.83 Hz", _fixed(five_at(3.13, 4.83)), wanted=_LONG),
    Case("five stages, waves of 2 and 4 Hz", _fixed(five_at(2.0, 4.0)), wanted=_LONG),
    # As fast as the ticks: inside a tick that a boundary splits power is not even, and only the gauge shows that.
    Case("five stages, waves of 9.7 and 10 Hz", _fixed(five_at(9.7, 10.0)), wanted=_LONG),
    Case("five stages, eight GPUs, calls of 1 ms", _fixed(FIVE), {"latency": 0.001}, gpus=8, wanted=_LONG),
    Case("five stages, ticks uneven by ±5 ms", _fixed(FIVE), {"jitter": 0.1}, wanted=_LONG),
    Case("five stages, ticks uneven by ±15 ms", _fixed(FIVE), {"jitter": 0.3}, wanted=_LONG),
    Case("twenty of 0.35 s, ticks uneven by ±5 ms", _fixed(TWENTY), {"jitter": 0.1}, wanted=_SHORT),
    Case("twenty of 0.35 s, ticks uneven by ±15 ms", _fixed(TWENTY), {"jitter": 0.3}, wanted=_SHORT),
    Case("five stages, power changes up to 50 ms late", _fixed(FIVE), lags=(0.0, 0.05)),
    Case("five stages, power changes up to 20 ms early or late", _fixed(FIVE), lags=(-0.02, 0.02)),
    Case("twenty of 0.35 s, power changes up to 20 ms early or late", _fixed(TWENTY), lags=(-0.02, 0.02)),
    Case("five stages, calls of 20 ms", _fixed(FIVE), {"latency": 0.02}),
    Case("five stages, calls of 50 ms", _fixed(FIVE), {"latency": 0.05}),
    Case("twenty of 0.35 s, calls of 5 ms", _fixed(TWENTY), {"latency": 0.005}, wanted=_SHORT),
    Case("five stages, no counter, calls of 50 ms", _fixed(FIVE), {"latency": 0.05}, use_counter=False),
    # Samples cannot tell when power changed: here the bound does not hold in each of a hundred windows.
    Case("five stages, no counter, power up to 20 ms late", _fixed(FIVE), use_counter=False, lags=(0.0, 0.02)),
    Case(
        "five stages, no counter, power up to 20 ms early or late", _fixed(FIVE), use_counter=False, lags=(-0.02, 0.02)
    ),
    Case("drawn stages on drawn cards", drawn, draw_card=True),
    Case("drawn square waves of 2 to 8 Hz, no counter", squares, use_counter=False),
    Case(
        "GPU lost 5 s across a boundary",
        _fixed(FIVE),
        faults=(Fault("lost", 23.91, 28.91),),
        best_today="90 % of the energy lost (Zeus); a stage at 0 J (CodeCarbon)",
    ),
    Case("GPU lost 5 s inside a stage", _fixed(FIVE), faults=(Fault("lost", 15.0, 20.0),)),
    Case(
        "counter reset inside a stage",
        _fixed(FIVE),
        faults=(Fault("reset", 15.0),),
        best_today="-123,065 J, silent (Zeus)",
    ),
    Case("counter frozen for 6 s", _fixed(FIVE), faults=(Fault("frozen", 30.0, 36.0),)),
)
