"""What the stack costs while nobody does anything: CPU time and memory of each container, as the engine counts them.

docker compose up -d          (JOULEMARK_DEMO=0, or wait until the demo has ended)
python -m benchmarks.stack_idle --seconds 120 > benchmarks/results/compose.md
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import date
from typing import Any, NamedTuple

import docker


class Reading(NamedTuple):
    """CPU seconds so far, memory without what the kernel would give back, and the instant, in seconds of the clock."""

    cpu_seconds: float
    memory_bytes: int
    at: float


def read(container: Any) -> Reading:
    """One look at a container's control group."""
    stats = container.stats(stream=False)
    memory = stats["memory_stats"]
    cache = memory["stats"].get("inactive_file", memory["stats"].get("total_inactive_file", 0))
    return Reading(stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory["usage"] - cache, time.monotonic())


def main() -> None:
    """Print the page of results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", default="joulemark", help="name of the Compose project")
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    client = docker.from_env()
    found = client.containers.list(filters={"label": f"com.docker.compose.project={options.project}"})
    if not found:
        sys.exit(f"no container of project {options.project} runs: docker compose up -d")
    found.sort(key=lambda container: container.labels["com.docker.compose.service"])
    before = {container.id: read(container) for container in found}
    time.sleep(options.seconds)
    print("# Idle cost of the stack\n")
    print(
        f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}), Docker {client.version()['Version']}: "
        f"`python -m benchmarks.stack_idle --seconds {options.seconds:g}`. CPU time from each container's control "
        "group, in percent of one core; health checks are in it. Memory without page cache that the kernel would give "
        "back.\n"
    )
    print("| service | image | CPU | memory |\n|---|---|---|---|")
    cpu = memory = 0.0
    for container in found:
        first, last = before[container.id], read(container)
        percent = 100 * (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)
        cpu, memory = cpu + percent, memory + last.memory_bytes
        name = container.labels["com.docker.compose.service"]
        print(f"| {name} | {container.image.tags[0]} | {percent:.2f} % | {last.memory_bytes / 1e6:.0f} MB |")
    print(f"| all | | {cpu:.2f} % | {memory / 1e6:.0f} MB |")


if __name__ == "__main__":
    main()
