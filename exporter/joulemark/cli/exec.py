"""`joulemark exec`: books a whole command to a stage, with no change to its code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..client.run import run as open_run
from .text import joules_text

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGINT)


def command(
    argv: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command and its arguments, after --.")],
    run: Annotated[str, typer.Option("--run", help="Name of the run, e.g. kd-1b.")],
    stage: Annotated[str, typer.Option("--stage", help="prerun, data, teacher, student, eval, or your own.")],
    phase: Annotated[str, typer.Option("--phase", help="Says more, e.g. logit_caching.")] = "",
    devices: Annotated[str, typer.Option("--devices", help="gpu0,gpu1 or UUIDs; all devices when left out.")] = "",
    share: Annotated[bool, typer.Option("--share", help="Share the devices with runs that share too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Do not start when the stage cannot be booked.")] = False,
) -> None:
    """Run a command with its energy booked to a stage.

    Exit code and signals pass through; the summary goes to stderr. When the exporter cannot be reached, the command
    runs all the same (unless --strict).
    """
    held = [name for name in devices.split(",") if name] or None
    with open_run(run, strict=strict) as opened:
        window = opened.stage(stage, phase=phase, devices=held, share=share)
        with window:
            code = _run_child(argv)
        _print_summary(run, stage, window.summary)
    if code < 0:
        # Die of the signal the child died of, so that whoever waits sees the same.
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    raise typer.Exit(code)


def _run_child(argv: list[str]) -> int:
    """Start the child, pass signals on, and return its exit code (negative: the signal it died of)."""
    try:
        child = subprocess.Popen(argv)
    except FileNotFoundError:
        _say(f"[bold red]joulemark exec:[/] command not found: {escape(argv[0])}")
        return 127
    except PermissionError:
        _say(f"[bold red]joulemark exec:[/] not executable: {escape(argv[0])}")
        return 126
    on_terminal = sys.stdin.isatty()

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        # Ctrl-C on a terminal reaches the child by itself.
        if not (on_terminal and number in (signal.SIGINT, signal.SIGQUIT)):
            child.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print_summary(run: str, stage: str, summary: dict[str, object] | None) -> None:
    if summary is None:
        _say(f"[yellow]joulemark:[/] run {run} stage {stage}: no summary, the exporter did not answer in time")
        return
    seconds, watts = summary["seconds"], summary["mean_watts"]
    tail = f", {watts:.1f} W on average" if isinstance(watts, float) else ""
    _say(f"[green]joulemark:[/] run {run} stage {stage}: {joules_text(summary)} in {seconds:.1f} s{tail}")


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, highlight=False)
