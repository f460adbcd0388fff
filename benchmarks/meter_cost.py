"""What the exporter itself costs on eight GPUs: CPU time, memory, the time of a transition, a scrape and a reading.

    python -m benchmarks.meter_cost [--seconds 60] [--gpus 8] [--repeat 3] [--python NAME=PATH ...]

A real `joulemark serve` reads the mock NVML of tests/nvml_mock, whose calls take 0 or 1 ms. A call sleeps for that
time; falling asleep and waking up cost CPU time too, so what the same calls cost by themselves is measured beside it.
What a real driver computes in a call is not in these figures. CPU time is the process' own, from /proc. Times of calls
hold whatever else the machine was doing, so every round is shown. What an idle FastAPI costs that makes the same calls,
by itself just before and just after, tells how fast the machine is. An interpreter that was built with profile
guidance, as distributions build theirs, needs less than one that was not: `--python` names one, or several, to run the
exporter.
Writes benchmarks/results/meter_cost.md.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import platform
import shlex
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from nvml_mock import Gpu, Script, Square, build

import joulemark

from .measured_exporter import MeasuredExporter, milliseconds

RESULT = Path(__file__).parent / "results" / "meter_cost.md"
# After a start the counters' beats are learnt; what that costs is told apart.
SETTLE_SECONDS = 15.0
TRANSITIONS_PER_SECOND = 3.0
# What an idle FastAPI and uvicorn that read as often cost, as a part of a core, on the machine for which the targets
# were set: on a slower one all of it costs more.
SERVICE_WHERE_TARGETS_WERE_SET = 0.004
ONE_READING = """
import time
from joulemark.clock import SystemClock
from joulemark.sources.nvml import NvmlSource
source = NvmlSource(SystemClock())
device = source.devices[0]
for power in (False, True):
    began = time.process_time()
    for _ in range(20000):
        source.read(device, power=power)
    print((time.process_time() - began) / 20000 * 1e6)
"""


class Interpreter(NamedTuple):
    """What runs the exporter, by the name that the tables give it, and the folders that it imports from."""

    name: str
    path: str
    folders: str


@dataclass
class Cost:
    """One round; CPU as parts of one core, times in milliseconds. `services` is before and after the exporter ran."""

    bare: float
    services: tuple[float, float]
    delay: float
    start_up: float
    idle: float
    busy: float
    busy_anew: float
    megabytes: float
    at_load: list[float]
    transitions: list[float]
    scrapes: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long CPU time is counted, twice a round")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3, help="rounds for each latency")
    parser.add_argument("--tick", type=float, default=0.1, help="seconds between refreshes of the counters")
    parser.add_argument(
        "--python", type=interpreter, action="append", metavar="NAME=PATH",
        help="an interpreter that runs the exporter; one of another minor version than this one must have what the "
        "exporter imports; may be given again",
    )  # fmt: skip
    options = parser.parse_args()
    pythons = options.python or [interpreter(f"Python={sys.executable}")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        lines = [head(options)]
        for latency, python in itertools.product((0.0, 0.001), pythons):
            environment = {**machine(folder, options.gpus, latency, options.tick), "PYTHONPATH": python.folders}
            state = folder / f"{latency}-{python.name}"
            rounds = [measure(state / str(i), environment, python, options.seconds) for i in range(options.repeat)]
            lines.append(table(latency, python, rounds))
            print(lines[-1], flush=True)
        for python in pythons:
            environment = {**machine(folder, 1, 0.0, options.tick), "PYTHONPATH": python.folders}
            lines.append(readings(environment, python))
            print(lines[-1])
    RESULT.write_text("\n".join(lines))


def interpreter(text: str) -> Interpreter:
    """From NAME=PATH; its version is added to the name."""
    name, _, path = text.partition("=")
    version = "import platform; print(platform.python_version())"
    found = subprocess.run([path, "-c", version], capture_output=True, text=True, check=True).stdout.strip()
    folders = [str(Path(joulemark.__file__).parents[1])]
    if found.split(".")[:2] == list(platform.python_version_tuple()[:2]):
        # It can do with what is installed for this one.
        folders.append(sysconfig.get_path("purelib"))
    return Interpreter(f"{name} {found}", path, os.pathsep.join(folders))


def machine(folder: Path, gpus: int, latency: float, tick: float) -> Mapping[str, str]:
    """Script the GPUs; returns what a process needs to see them.

    Their ticks are not in step with each other.
    """
    cards = [Gpu({"latency": latency, "tick": tick, "phase": 0.013 * index}) for index in range(gpus)]
    script = Script(folder / f"script-{latency}-{gpus}", cards)
    script.power(time.clock_gettime(time.CLOCK_BOOTTIME) - 100, Square(120, 650, 2.7))
    script.save()
    return {"LD_LIBRARY_PATH": str(folder), "MOCK_NVML_SCRIPT": str(script.path)}


def measure(state: Path, environment: Mapping[str, str], python: Interpreter, seconds: float) -> Cost:
    """One round: the calls alone, then an exporter of its own."""
    bare = alone("bare_calls", environment, python, seconds)
    before = alone("bare_service", environment, python, seconds / 2)
    source = ("--source", "nvml_counter")
    with MeasuredExporter(state, *source, environment=environment, python=python.path) as exporter:
        start_up = exporter.cpu_share(SETTLE_SECONDS)
        idle = exporter.cpu_share(seconds)
        at_load: list[float] = []
        busy = exporter.cpu_share(seconds, lambda s: at_load.extend(transitions(exporter.switch, s)))
        busy_anew = exporter.cpu_share(seconds, lambda s: transitions(exporter.switch_anew, s))
        scrapes = milliseconds(50, lambda _: exporter.call("GET", "/metrics"), pause=0.1)
        delay = own_delay()
        switches = milliseconds(300, exporter.switch, pause=0.05)
        megabytes = exporter.resident_megabytes()
    services = before, alone("bare_service", environment, python, seconds / 2)
    return Cost(bare, services, delay, start_up, idle, busy, busy_anew, megabytes, at_load, switches, scrapes)


def alone(module: str, environment: Mapping[str, str], python: Interpreter, seconds: float) -> float:
    """What the same calls cost in a process that does nothing else with them, by `bare_calls` or `bare_service`."""
    done = subprocess.run(
        [python.path, "-m", f"{__package__}.{module}", str(seconds)],
        env={**os.environ, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def own_delay() -> float:
    """How many milliseconds longer than mostly the machine needs for the same computation, 99th percentile."""

    def compute(_: int) -> None:
        sum(number * number for number in range(20_000))

    times = milliseconds(300, compute, pause=0.05)
    return percentile(times, 99) - statistics.median(times)


def transitions(switch: Callable[[int], None], seconds: float) -> list[float]:
    """Three transitions a second, evenly; how long each took, in milliseconds."""
    began, found = time.perf_counter(), []
    for number in range(int(seconds * TRANSITIONS_PER_SECOND)):
        asked = time.perf_counter()
        switch(number)
        found.append((time.perf_counter() - asked) * 1e3)
        time.sleep(max(0.0, began + (number + 1) / TRANSITIONS_PER_SECOND - time.perf_counter()))
    return found


def head(options: argparse.Namespace) -> str:
    command = shlex.join(["python", "-m", "benchmarks.meter_cost", *sys.argv[1:]])
    return (
        "# Meter cost\n\n"
        f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.processor() or platform.machine()}): "
        f"`{command}`.\n\n"
        f"{options.gpus} GPUs of the mock NVML, counters that refresh every {1e3 * options.tick:g} ms, the default "
        "interval of 100 ms, one real `joulemark serve`. CPU time is the process' own, from /proc, in percent of one "
        "core. A mock call sleeps for its latency; going to sleep and waking up costs CPU time too, which is in the "
        "line of the calls alone. What a real driver computes in a call is not in these figures. Transitions are made "
        "by joulemark's client, which keeps its connection; its own part is in their times. They hold whatever else "
        "the machine was doing, too: every round is shown. How much longer than mostly it took for the same plain "
        "computation, every 50 ms just before, are its own delays: they are in the longest times too.\n\n"
        "A machine's speed, and what else runs on it, change all of these costs alike. So they are given in units of "
        "what an idle FastAPI under uvicorn costs that makes the calls and does nothing with them, too, by itself just "
        f"before and after: where the targets were set that was {100 * SERVICE_WHERE_TARGETS_WERE_SET:g} % of a core.\n"
    )


def table(latency: float, python: Interpreter, rounds: list[Cost]) -> str:
    """The rounds beside each other, with the target of each line."""
    at_load, switches = [cost.at_load for cost in rounds], [cost.transitions for cost in rounds]
    rows = [
        ("CPU of the default interval's calls alone", [f"{100 * cost.bare:.2f} %" for cost in rounds], ""),
        ("the same beside an idle FastAPI and uvicorn, before and after", [of_services(cost) for cost in rounds], ""),
        ("CPU, first 15 s", [f"{100 * cost.start_up:.2f} %" for cost in rounds], ""),
        ("CPU, default interval", [f"{100 * cost.idle:.2f} %" for cost in rounds], "at most 1 %"),
        ("CPU, 3 transitions a second", [f"{100 * cost.busy:.2f} %" for cost in rounds], "at most 2 %"),
        ("the same, a connection each", [f"{100 * cost.busy_anew:.2f} %" for cost in rounds], ""),
        ("default interval, in idle FastAPIs", [in_services(cost.idle, cost) for cost in rounds], times(0.01)),
        ("3 transitions a second, in these", [in_services(cost.busy, cost) for cost in rounds], times(0.02)),
        ("memory, most resident", [f"{cost.megabytes:.0f} MB" for cost in rounds], "at most 80 MB"),
        ("transition of three a second, median", [f"{statistics.median(x):.2f} ms" for x in at_load], "under 5 ms"),
        ("transition of three a second, longest", [f"{max(x):.2f} ms" for x in at_load], "under 20 ms"),
        ("transition every 50 ms, median", [f"{statistics.median(x):.2f} ms" for x in switches], "under 5 ms"),
        ("transition every 50 ms, 99th percentile", [f"{percentile(x, 99):.2f} ms" for x in switches], "under 20 ms"),
        ("the machine's own delays, 99th percentile", [f"{cost.delay:.2f} ms" for cost in rounds], ""),
        ("scrape, median", [f"{statistics.median(cost.scrapes):.2f} ms" for cost in rounds], ""),
        ("scrape, 99th percentile", [f"{percentile(cost.scrapes, 99):.2f} ms" for cost in rounds], ""),
    ]
    titles = "".join(f" round {number + 1} |" for number in range(len(rounds)))
    rule = "---|" * len(rounds)
    lines = [f"## NVML calls of {1e3 * latency:g} ms, {python.name}", "", f"| |{titles} target |", f"|---|{rule}---|"]
    lines += [f"| {name} | {' | '.join(values)} | {target} |" for name, values, target in rows]
    return "\n".join([*lines, ""])


def of_services(cost: Cost) -> str:
    """What the idle FastAPI cost before and after."""
    return ", ".join(f"{100 * one:.2f}" for one in cost.services) + " %"


def in_services(part: float, cost: Cost) -> str:
    """A part of a core in units of the mean of these."""
    return f"{part / statistics.mean(cost.services):.1f}"


def times(target: float) -> str:
    """A target of CPU time in units of what the idle FastAPI costs."""
    return f"at most {target / SERVICE_WHERE_TARGETS_WERE_SET:g}"


def readings(environment: Mapping[str, str], python: Interpreter) -> str:
    """What one reading costs in CPU time, in a process of its own."""
    done = subprocess.run(
        [python.path, "-c", ONE_READING],
        env={**os.environ, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    counter, whole = (float(line) for line in done.stdout.split())
    return (
        f"## One reading, {python.name}\n\n"
        f"Counter alone {counter:.0f} µs of CPU time, counter and power {whole:.0f} µs, calls of the mock included.\n"
    )


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
