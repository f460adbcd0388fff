"""`joulemark exec`: books a whole command to a stage, with no change to its code."""

from __future__ import annotations

import os
import warnings
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from ..client.local_ranks import local_rank
from ..client.run import AROUND_VARIABLE, NAME_VARIABLE, Run
from ..client.run import run as open_run
from ..errors import ClientError
from .child_process import die_of, held_signals, run_child
from .text import joules_text

_SUMMARY_SECONDS = 5.0


def command(
    argv: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command and its arguments, after --.")],
    run: Annotated[str, typer.Option("--run", envvar=NAME_VARIABLE, help="Name of the run, e.g. kd-1b.")],
    stage: Annotated[str, typer.Option("--stage", help="prerun, data, teacher, student, eval, or your own.")],
    phase: Annotated[str, typer.Option("--phase", help="Says more, e.g. logit_caching.")] = "",
    devices: Annotated[str, typer.Option("--devices", help="gpu0,gpu1 or UUIDs; all devices when left out.")] = "",
    share: Annotated[bool, typer.Option("--share", help="Share the devices with runs that share too.")] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Do not start when the stage cannot be booked; exit 2 when it was not, later."),
    ] = False,
) -> None:
    """Run a command with its energy booked to a stage.

    Exit code, signals, terminal and stdin pass through; the summary goes to stderr. An exit code other than 0 books
    the stage as failed, its joules kept. When the exporter cannot be
    reached, the command runs all the same (unless --strict). Inside of another 'joulemark exec' of the same run the
    stage suspends the outer one; the command finds the run's name in JOULEMARK_RUN.
    """
    _show_warnings()
    held = [name for name in devices.split(",") if name] or None
    with held_signals() as mask, open_run(run, strict=strict) as opened:
        code = _book(opened, argv, mask, stage=stage, phase=phase, devices=held, share=share)
    if code < 0:
        die_of(-code)
        code = 128 - code  # Only the first process of a container is still here.
    raise typer.Exit(code)


def _book(opened: Run, argv: list[str], mask: set[int], **asked: Any) -> int:
    """Run the command within its stage; its exit code, or 2 when it did well and a strict stage did not."""
    window = opened.stage(**asked)
    code: int | None = None
    try:
        with window:
            code = _start(opened.name, argv, mask)
            if code:
                window.fail()
    except ClientError as error:
        if code is None:
            raise
        _say(f"[bold red]joulemark:[/] not booked as it should be: {escape(str(error))}")
        return code or 2
    if not local_rank():  # Another rank speaks, and says it.
        _print_summary(opened.name, window.name, window.wait_for_summary(_SUMMARY_SECONDS))
    return code


def _start(run: str, argv: list[str], mask: set[int]) -> int:
    around = [*os.environ.get(AROUND_VARIABLE, "").split(), run]
    environment = {**os.environ, NAME_VARIABLE: run, AROUND_VARIABLE: " ".join(dict.fromkeys(around))}
    try:
        return run_child(argv, environment, mask)
    except FileNotFoundError:
        _say(f"[bold red]joulemark exec:[/] command not found: {escape(argv[0])}")
        return 127
    except OSError as error:
        _say(f"[bold red]joulemark exec:[/] cannot be started: {escape(argv[0])}: {escape(error.strerror or '')}")
        return 126


def _print_summary(run: str, stage: str, summary: dict[str, Any] | None) -> None:
    if summary is None:
        _say(f"[yellow]joulemark:[/] run {run} stage {stage}: no summary, the exporter did not answer or refused it")
        return
    seconds, watts = summary["seconds"], summary.get("mean_watts")
    tail = f", {watts:.1f} W on average" if isinstance(watts, float) else ""
    _say(f"[green]joulemark:[/] run {run} stage {stage}: {joules_text(summary)} in {seconds:.1f} s{tail}")


def _show_warnings() -> None:
    """The client's warnings as lines of ours, whatever the command's PYTHONWARNINGS says."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        _say(f"[yellow]joulemark:[/] {escape(str(message).removeprefix('joulemark: '))}")

    warnings.filterwarnings("always", message="joulemark", category=RuntimeWarning)
    warnings.showwarning = show


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, highlight=False)
