"""`make demo`: distils a real language model twice and shows where its joules went.

It goes through the front doors only: the exporter and Prometheus as processes, the workloads as commands, the
report through the command line.
"""

from __future__ import annotations

import json
import signal
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
from .stack import HOME, Stack, StackError

console = Console(soft_wrap=True, highlight=False)
WORK = HOME / "work"
REPORT = Path("report")
# Two scrapes and a rule evaluation after the last stage, so that Prometheus has seen its end.
_SETTLE_SECONDS = 30.0


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: an interrupt that the child has not had."""


def _interrupt(number: int, frame: object) -> None:
    raise Terminated(number, frame)


def main(
    config: Annotated[Path, typer.Option("--config", help="The experiment, e.g. configs/smoke.yaml.")] = Path(
        "configs/smoke.yaml"
    ),
    pipelines: Annotated[str, typer.Option("--pipelines", help="Which to run, comma-separated.")] = "sft,kd",
) -> None:
    """Run the pipelines under a meter and report."""
    began = time.monotonic()
    # A closed terminal or a stopped service must end what was started just as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    found = stacks.running()
    try:
        stack = found or stacks.start()
    except StackError as error:
        console.print(f"[bold red]joulemark:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    code = 1
    try:
        code = _run(stack, config, pipelines.split(","))
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


def _run(stack: Stack, config: Path, pipelines: list[str]) -> int:
    _announce(stack)
    number = _next_number(stack, pipelines)
    names = [f"{pipeline}-{number}" for pipeline in pipelines]
    for pipeline, name in zip(pipelines, names, strict=True):
        console.rule(f"pipeline [bold]{pipeline}[/], run [bold]{name}[/]")
        code = _run_pipeline(stack, config, pipeline, name, baseline=names[0])
        if code:
            console.print(f"[bold red]joulemark:[/] pipeline {pipeline} ended with code {code}; its joules are kept.")
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


def _next_number(stack: Stack, pipelines: list[str]) -> int:
    """One more than the highest number that any run of these pipelines has."""
    taken = [str(run["run"]).rpartition("-") for run in _get(f"{stack.exporter_url}/api/v1/runs")]
    numbers = [int(tail) for head, _, tail in taken if head in pipelines and tail.isdigit()]
    return max(numbers, default=0) + 1


def _run_pipeline(stack: Stack, config: Path, pipeline: str, name: str, *, baseline: str) -> int:
    command = [
        sys.executable, "-m", "joulemark_workloads", "run", "--config", str(config), "--pipeline", pipeline,
        "--run", name, "--work-dir", str(WORK), "--url", stack.exporter_url,
    ]  # fmt: skip
    if name != baseline:
        command += ["--baseline", baseline]
    child = subprocess.Popen(command)
    try:
        return child.wait()
    except Terminated:
        child.send_signal(signal.SIGINT)
        child.wait(timeout=30)
        raise
    except KeyboardInterrupt:
        # The terminal has interrupted the child as well: let it close its stage and keep what it has.
        child.wait(timeout=30)
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
