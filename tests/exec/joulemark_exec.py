"""Starts `joulemark exec` as users do."""

from __future__ import annotations

import os
import subprocess
import sys

JOULEMARK = [sys.executable, "-c", "from joulemark.cli import main; main()"]


def environment(url: str, **more: str) -> dict[str, str]:
    """Of a shell in which the exporter is known."""
    return {**os.environ, "JOULEMARK_URL": url, "COLUMNS": "300", **more}


def exec_argv(*command: str, run: str = "r1", stage: str = "teacher", options: tuple[str, ...] = ()) -> list[str]:
    """The command line that books a command."""
    return [*JOULEMARK, "exec", "--run", run, "--stage", stage, *options, "--", *command]


def execute(
    *command: str, url: str, stdin: str | None = None, options: tuple[str, ...] = (), run: str = "r1", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a booked command to its end."""
    return subprocess.run(
        exec_argv(*command, run=run, options=options), input=stdin, capture_output=True, text=True, timeout=120,
        env=environment(url, **more),
    )  # fmt: skip
