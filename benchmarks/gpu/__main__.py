"""The GPU benchmark: what this GPU's sensors are like, whether stated bounds hold, what metering does to training.

    python -m benchmarks.gpu [--seconds 60] [--output FILE]

On a machine with an NVIDIA GPU and PyTorch with CUDA it measures that and writes benchmarks/results/gpu_MODEL.md.
Where there is none it goes through the same steps on the mock NVML, says so, and writes a file only when --output names
one: figures of a mock are not results.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from joulemark.clock import SystemClock
from joulemark.sources.base import Device
from joulemark.sources.nvml import NvmlSource
from joulemark.sources.nvml_facts import nvml_versions

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from ..measured_exporter import MeasuredExporter
from .bounds import bounds_table
from .machines import Machine, MockMachine, NoGpu, RealMachine
from .sensors import estimator_table, latency_table, tick_lines
from .training_effect import effect_table

RESULTS = Path(__file__).parents[1] / "results"
NOT_RESULTS = (
    "**These are figures of the mock NVML and of this machine's CPU, not of a GPU.** They show that the benchmark "
    "works. On a GPU it would measure that GPU's tick, its driver's latencies, how far its two sensors agree, whether "
    "stated bounds hold on it, and what metering does to a training step on it."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="measuring time of each part")
    parser.add_argument("--output", type=Path, help="where to write the result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        machine, why = _machine(Path(folder))
        try:
            device, page = _measure(machine, Path(folder), options.seconds, why)
        finally:
            machine.close()
    model = re.sub(r"[^a-z0-9]+", "_", device.model.lower()).strip("_")
    output = options.output or (RESULTS / f"gpu_{model}.md" if machine.real else None)
    if output:
        output.write_text(page)
        print(f"wrote {output}", file=sys.stderr)
    else:
        print(page)


def _machine(folder: Path) -> tuple[Machine, str]:
    try:
        machine: Machine = RealMachine()
    except NoGpu as why:
        print(f"no GPU ({why}): running on the mock NVML", file=sys.stderr)
        return MockMachine(folder), str(why)
    return machine, ""


def _measure(machine: Machine, folder: Path, seconds: float, why: str) -> tuple[Device, str]:
    machine.tell("off")
    time.sleep(1.0)
    source = NvmlSource(SystemClock())
    device = source.devices[0]
    parts: dict[str, Callable[[], list[str]]] = {
        "Latency of driver calls": lambda: latency_table(source, device, seconds / 4),
        "Refreshes": lambda: tick_lines(source, device, seconds / 4),
        "Energy counter against integrated power": lambda: estimator_table(machine, source, device, seconds / 4),
        "Stated bounds against long averages": lambda: _bounds(machine, folder, seconds),
        "Effect on training": lambda: effect_table(machine, folder, seconds / 6),
    }
    lines = _head(device, machine, why)
    for title, part in parts.items():
        print(f"{title} …", file=sys.stderr)
        lines += [f"## {title}", "", *part(), ""]
    source.close()
    return device, "\n".join(lines)


def _bounds(machine: Machine, folder: Path, seconds: float) -> list[str]:
    with MeasuredExporter(folder / "bounds", "--source", "nvml_counter", environment=machine.environment) as exporter:
        # The beats of the counters are learnt first.
        time.sleep(10.0)
        return bounds_table(machine, f"http://127.0.0.1:{exporter.port}", seconds)


def _head(device: Device, machine: Machine, why: str) -> list[str]:
    versions = nvml_versions()
    arguments = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    lines = [f"# {device.model}", ""]
    if not machine.real:
        lines += [f"{NOT_RESULTS} ({why}.)", ""]
    return [
        *lines,
        f"{datetime.date.today()}, driver {versions.driver}, NVML {versions.library or 'unknown'}, CUDA "
        f"{versions.cuda or 'unknown'}, Linux {platform.release()}, Python {platform.python_version()}: `{arguments}`.",
        "",
    ]


if __name__ == "__main__":
    main()
