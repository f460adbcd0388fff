"""`make demo`: distils a real language model and shows where its joules went.

It goes through the front doors only: the exporter and Prometheus as processes, the workloads as commands, the
report through the command line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.markup import escape

from . import stack as stacks
from .config import PHASES, Cell, cells_of, read_document
from .errors import WorkloadError
from .stack import HOME, Stack, StackError
from .termination import Terminated, interrupt_when_terminated

console = Console(soft_wrap=True, highlight=False)
WORK = HOME / "work"
REPORT = Path("report")
# Two scrapes and a rule evaluation after the last stage, so that Prometheus has seen its end.
_SETTLE_SECONDS = 30.0
# What the runs may take to end when they are told to.
_END_SECONDS = 30.0


def main(
    config: Annotated[Path, typer.Option("--config", help="The experiment, e.g. configs/smoke.yaml.")] = Path(
        "configs/smoke.yaml"
    ),
) -> None:
    """Run the experiment's pipelines under a meter and report."""
    began = time.monotonic()
    # A closed terminal or a stopped service must end what was started just as Ctrl-C does.
    interrupt_when_terminated()
    found = stacks.running()
    try:
        cells = cells_of(read_document(config))
        stack = found or stacks.start()
    except (StackError, WorkloadError) as error:
        console.print(f"[bold red]joulemark:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    code = 1
    try:
        code = _run(stack, config, cells)
    except KeyboardInterrupt:
        console.print(
            "\n[yellow]Interrupted.[/] What was measured is in the ledger; 'make demo' again goes on from it."
        )
        code = 130
    finally:
        if not found:
            stacks.stop(stack)
            console.print("[dim]Everything that was started is stopped.[/]")
    console.print(f"[dim]{time.monotonic() - began:.0f} s in all.[/]")
    raise typer.Exit(code)


def _run(stack: Stack, config: Path, cells: list[Cell]) -> int:
    _announce(stack)
    tag = _tag(stack, cells)
    names = [cell.run_name(tag) for cell in cells]
    code = _run_cells(stack, config, tag)
    if code:
        console.print(f"[bold red]joulemark:[/] the pipelines ended with code {code}; their joules are kept.")
        return code
    console.rule("where the joules went")
    _wait_for_prometheus(stack, names)
    return _report(stack, names)


def _announce(stack: Stack) -> None:
    devices = _get(f"{stack.exporter_url}/api/v1/devices")
    for device in devices:
        console.print(f"device {device['device']}: {device['model']}, source {device['source']}")
    if any(device["modelled"] for device in devices):
        console.print(
            "[bold black on yellow] MODELLED [/] nothing on this machine measures power: joules below are computed "
            "from CPU utilisation and an assumed TDP. They show where energy goes, not how much it is."
        )


def _tag(stack: Stack, cells: list[Cell]) -> str:
    """A number for these runs: the last one again where those were interrupted, else the next that nobody has."""
    prefixes = tuple(f"{pipeline}-" for pipeline in {cell.pipeline for cell in cells})
    taken = [str(run["run"]) for run in _get(f"{stack.exporter_url}/api/v1/runs")]
    numbers = [name.partition("-")[2].partition("-")[0] for name in taken if name.startswith(prefixes)]
    last = max((int(number) for number in numbers if number.isdigit()), default=0)
    if last and any(_was_interrupted(cell, cell.run_name(str(last))) for cell in cells):
        return str(last)
    return str(last + 1)


def _was_interrupted(cell: Cell, name: str) -> bool:
    """Whether this very run was begun and has not come to its end."""
    try:
        record = json.loads((WORK / "runs" / name / "record.json").read_text())
    except (OSError, ValueError):
        return False
    same: bool = record["config"] == cell.experiment.model_dump(mode="json")
    done: bool = record["phases"].get(PHASES[-1], {}).get("state") == "done"
    return same and not done


def _run_cells(stack: Stack, config: Path, tag: str) -> int:
    command = [
        sys.executable, "-m", "joulemark_workloads", str(config), "--tag", tag,
        "--work-dir", str(WORK), "--url", stack.exporter_url, "--no-tables",
    ]  # fmt: skip
    child = subprocess.Popen(command)
    try:
        return child.wait()
    except KeyboardInterrupt as interrupt:
        # A terminal has interrupted the child as well: let it close its stage and keep what it has.
        if isinstance(interrupt, Terminated):
            child.terminate()
        try:
            child.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
        raise


def _wait_for_prometheus(stack: Stack, names: list[str]) -> None:
    """Until Prometheus' rules know the final joules of every run, or the time is up."""
    if stack.prometheus_url is None:
        return
    deadline = time.monotonic() + _SETTLE_SECONDS
    with console.status("waiting for Prometheus to have seen the last stage"):
        while time.monotonic() < deadline and not all(_agrees(stack, name) for name in names):
            time.sleep(0.5)


def _agrees(stack: Stack, name: str) -> bool:
    ledger = float(_get(f"{stack.exporter_url}/api/v1/runs/{name}")["joules"])
    query = urlencode({"query": f'run:joulemark_energy_joules:sum{{run="{name}"}}'})
    rows = _get(f"{stack.prometheus_url}/api/v1/query?{query}")["data"]["result"]
    return bool(rows) and abs(float(rows[0]["value"][1]) - ledger) <= 1e-6 * max(1.0, ledger)


def _report(stack: Stack, names: list[str]) -> int:
    command = [str(Path(sys.executable).with_name("joulemark")), "report", "--url", stack.exporter_url]
    command += ["--output", str(REPORT)]
    if stack.prometheus_url:
        command += ["--prometheus", stack.prometheus_url]
    return subprocess.run([*command, *names], check=False).returncode


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  loopback, our own
        return json.load(answer)


if __name__ == "__main__":
    typer.run(main)
