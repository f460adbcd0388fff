"""What the exporter itself costs: CPU time, memory, and the time of a scrape and of a transition.

    python benchmarks/meter_cost.py [--seconds 30] [--source replay]

Figures are of this machine and this moment; compare only figures taken side by side.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PORT = 19871


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it runs undisturbed")
    parser.add_argument("--source", default="replay", help="power source, as for joulemark serve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("joulemark")), "serve", "--source", options.source]
        command += ["--web.listen-address", f"127.0.0.1:{PORT}", "--state-dir", folder, "--log.level", "error"]
        exporter = subprocess.Popen(command)
        try:
            wait_until_ready()
            before = cpu_seconds(exporter.pid)
            time.sleep(options.seconds)
            idle = (cpu_seconds(exporter.pid) - before) / options.seconds
            scrapes = times(50, lambda _: call("GET", "/metrics"))
            switches = times(200, lambda i: call("PUT", "/api/v1/stage", {"run": "bench", "stage": f"s{i % 5}"}))
            print(f"source {options.source}, sampling every 100 ms for {options.seconds:.0f} s")
            print(f"cpu          {100 * idle:.2f} % of one core")
            print(f"memory       {resident_megabytes(exporter.pid):.0f} MB resident")
            print(f"scrape       {statistics.median(scrapes):.2f} ms median of {len(scrapes)}")
            median, p99 = statistics.median(switches), statistics.quantiles(switches, n=100)[98]
            print(f"transition   {median:.2f} ms median, {p99:.2f} ms 99th percentile of {len(switches)}")
        finally:
            exporter.terminate()
            exporter.wait()


def wait_until_ready() -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            call("GET", "/-/ready")
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the exporter did not come up")


def call(method: str, path: str, body: object = None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.request(method, path, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{method} {path} answered {answer.status}")


def times(count: int, action: Callable[[int], None]) -> list[float]:
    """Milliseconds of each of so many calls."""
    found = []
    for index in range(count):
        began = time.perf_counter()
        action(index)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
