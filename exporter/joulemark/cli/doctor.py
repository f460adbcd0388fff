"""`joulemark doctor`: about a minute that says whether this machine can be measured, and what to fix."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..settings import load_settings

HELP = """Measure this machine's meter for about a minute, and say what is wrong and how to fix it.

Reports versions, sources, each device's counter tick and read latency, whether its two estimators agree (as found, and
under a load of its own where PyTorch with CUDA is there), permissions, clocks, and an exporter or Prometheus.
Nothing on the machine is changed. Takes the settings of 'joulemark serve': those below, and all from JOULEMARK_…
variables and --config.file.

Exit code 0: fit to measure. 1: not fit, at least one finding is an error, so that figures would be missing, modelled
or not to be trusted. 2: the command was used wrongly. Warnings and infos leave the machine fit.
"""

_Text = Optional[str]  # noqa: UP045  typer evaluates these at run time on Python 3.10 too
_Texts = Optional[list[str]]  # noqa: UP045
_Path = Optional[Path]  # noqa: UP045
_Choice = Optional[bool]  # noqa: UP045


def command(
    seconds: Annotated[float, typer.Option("--seconds", min=3, max=3600, help="Time to measure for.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON (docs/doctor.md).")] = False,
    load: Annotated[
        _Choice,
        typer.Option(help="Put a load of the doctor's own on the GPUs; left out: when nobody uses them."),
    ] = None,
    prometheus: Annotated[str, typer.Option("--prometheus", help="URL of a Prometheus to examine too.")] = "",
    source: Annotated[_Text, typer.Option("--source", help="As for 'joulemark serve'.")] = None,
    state_dir: Annotated[_Text, typer.Option("--state-dir", help="As for 'joulemark serve'.")] = None,
    listen_addresses: Annotated[
        _Texts, typer.Option("--web.listen-address", help="As for 'joulemark serve'; repeat for several.")
    ] = None,
    config_file: Annotated[
        _Path, typer.Option("--config.file", envvar="JOULEMARK_CONFIG_FILE", help="As for 'joulemark serve'.")
    ] = None,
) -> None:
    from ..doctor import Plan, examine  # the web stack is loaded only by those who want it
    from .doctor_page import print_diagnosis

    addresses = ",".join(listen_addresses) if listen_addresses else None
    flags = {"source": source, "state_dir": state_dir, "listen_addresses": addresses}
    settings = load_settings(flags, os.environ, config_file)
    plan = Plan(settings, seconds, load, prometheus)
    with _progress() as told:
        diagnosis = examine(plan, told)
    if as_json:
        typer.echo(json.dumps(diagnosis.as_json(), indent=2))
    else:
        print_diagnosis(diagnosis, Console(width=None if sys.stdout.isatty() else 120))
    raise typer.Exit(0 if diagnosis.fit else 1)


@contextmanager
def _progress() -> Iterator[_Lines | _Bar]:
    """A live bar on a terminal, a line for each step elsewhere; always on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str, seconds: float) -> None:
        self._console.print(f"joulemark doctor: {what}, about {seconds:.0f} s", highlight=False, soft_wrap=True)

    def passed(self, seconds: float) -> None:
        del seconds


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None)

    def step(self, what: str, seconds: float) -> None:
        self._bar.reset(self._task, description=what, total=max(seconds, 0.1))

    def passed(self, seconds: float) -> None:
        self._bar.update(self._task, completed=seconds)
