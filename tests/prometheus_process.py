"""A real Prometheus for tests, on samples that are written into its store before it starts: no scrape to wait for."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from exporter_process import free_port


def sample(metric: str, labels: Mapping[str, str], value: float, at: float) -> str:
    """A line of OpenMetrics with its Unix time."""
    pairs = ",".join(f'{name}="{text}"' for name, text in labels.items())
    return f"{metric}{{{pairs}}} {value} {at:.3f}"


@contextmanager
def backfilled(folder: Path, samples: str) -> Iterator[str]:
    """The address of a Prometheus that holds these samples, lines of OpenMetrics with Unix times."""
    binary = shutil.which("prometheus")
    if binary is None or shutil.which("promtool") is None:
        pytest.skip("no prometheus on PATH: apt-get install prometheus")
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    if samples:
        (folder / "samples").write_text(f"{samples.rstrip()}\n# EOF\n")
        create = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "samples", "data"]
        done = subprocess.run(create, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    url = f"http://127.0.0.1:{free_port()}"
    options = {
        "config.file": "prometheus.yml",
        "storage.tsdb.path": "data",
        # Blocks that are older than the default would be deleted at once.
        "storage.tsdb.retention.time": "100y",
        "web.listen-address": url[7:],
    }
    command = [binary, *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield _ready(url)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _ready(url: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urlopen(f"{url}/-/ready", timeout=5):
                return url
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
