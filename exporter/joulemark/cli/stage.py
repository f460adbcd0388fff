"""`joulemark stage`: set, end and list windows by hand, from a shell or a job script."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..client import Transport
from ..errors import ClientError, ExporterAway
from .text import joules_text

app = typer.Typer(
    no_args_is_help=True, help="Set, end and list windows by hand. A window set here has no lease: end it."
)


def transport() -> Transport:
    """The exporter that JOULEMARK_URL names."""
    return Transport()


def ask(method: str, path: str, body: dict[str, object] | None = None) -> Any:
    """Call the exporter; a failure is a ClientError with its remedy."""
    try:
        return transport().call(method, path, body)
    except ExporterAway as error:
        raise ClientError(f"{error}. Start 'joulemark serve', or set JOULEMARK_URL") from error


@app.command("set")
def set_stage(
    run: Annotated[str, typer.Argument(help="Name of the run.")],
    stage: Annotated[str, typer.Argument(help="prerun, data, teacher, student, eval, or your own.")],
    phase: Annotated[str, typer.Option("--phase", help="Says more, e.g. generation.")] = "",
    devices: Annotated[str, typer.Option("--devices", help="gpu0,gpu1 or UUIDs; all when left out.")] = "",
    ttl_seconds: Annotated[float | None, typer.Option("--ttl", help="Lease in seconds; none when left out.")] = None,
    share: Annotated[bool, typer.Option("--share", help="Share the devices with runs that share too.")] = False,
) -> None:
    """End this run's window and begin a new one; prints the new window's id."""
    body: dict[str, object] = {
        "run": run,
        "stage": stage,
        "phase": phase,
        "devices": [name for name in devices.split(",") if name] or None,
        "ttl_seconds": ttl_seconds,
        "share": share,
    }
    answer = ask("PUT", "/stage", body)
    if answer["ended"]:
        _line(answer["ended"])
    typer.echo(answer["id"])


@app.command("end")
def end_stage(
    window: Annotated[str, typer.Argument(help="The window's id; all of --run when left out.")] = "",
    run: Annotated[str, typer.Option("--run", help="End every open window of this run.")] = "",
) -> None:
    """End a window and print what it used."""
    if not window and not run:
        raise typer.BadParameter("name a window's id, or --run")
    ids = [window] if window else [x["id"] for x in ask("GET", "/stage") if x["run"] == run]
    for window_id in ids:
        _line(ask("DELETE", f"/stage/{window_id}", {}))


@app.command("list")
def list_stages() -> None:
    """The open windows."""
    table = Table("window", "run", "stage", "phase", "devices", "state", "seconds", "joules")
    for x in ask("GET", "/stage"):
        table.add_row(
            x["id"], x["run"], x["stage"], x["phase"], ",".join(x["devices"]), x["state"],
            f"{x['seconds']:.1f}", joules_text(x),
        )  # fmt: skip
    Console().print(table)


def _line(summary: dict[str, Any]) -> None:
    Console(stderr=True, soft_wrap=True).print(
        f"run {summary['run']} stage {summary['stage']}: {joules_text(summary)} in {summary['seconds']:.1f} s",
        highlight=False,
    )
