"""`joulemark check`: can a job on this machine book its joules? Address, token, clock and folder, in a second."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from ..client import timing
from ..client.connection import exchange
from ..client.endpoint import Endpoint
from ..errors import ExporterAway

# Windows are timed by the exporter, so no clock moves a joule; beyond this a job's own metrics lie beside other watts.
CLOCK_SECONDS = 2.0


class Found(NamedTuple):
    """One thing that was looked at: what is, and what to do where that is not well."""

    well: bool
    words: str
    remedy: str = ""
    grave: bool = True


def command(
    write: Annotated[bool, typer.Option("--write", help="Also whether this job may write: nothing is booked.")] = False,
    folder: Annotated[
        list[Path] | None, typer.Option("--folder", help="Also whether this folder can be written (repeatable).")
    ] = None,
) -> None:
    """See whether a job here can book its joules; exit code 1 where it cannot.

    Looks at the exporter that JOULEMARK_URL names, the token of JOULEMARK_TOKEN or JOULEMARK_TOKEN_FILE, and the clock.
    Run it first in a container, a Slurm job or a pod.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    well = True
    for found in (*_folders(folder or []), *_exporter(Endpoint.found(), write)):
        mark = "[green]ok[/]" if found.well else "[bold red]not well[/]" if found.grave else "[yellow]beware[/]"
        console.print(f"{mark}: {escape(found.words)}")
        if not found.well:
            console.print(f"    {escape(found.remedy)}")
            well = well and not found.grave
    raise typer.Exit(0 if well else 1)


def _folders(folders: list[Path]) -> Iterator[Found]:
    for folder in folders:
        probe = folder / ".joulemark-check"
        try:
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            remedy = "give it to this user (chown), or use a named volume, which takes its owner from the image"
            yield Found(False, f"{folder} cannot be written: {error.strerror or error}", remedy)
        else:
            yield Found(True, f"{folder} can be written")


def _exporter(endpoint: Endpoint, write: bool) -> Iterator[Found]:
    try:
        status, raw = _ask(endpoint, "GET", "/devices")
        if status != 200:
            raise ExporterAway(f"{endpoint.shown} answered {status}")
        yield Found(True, f"exporter at {endpoint.shown} answers")
        yield _clock(raw)
        if write:
            yield _token(_ask(endpoint, "POST", "/stage/joulemark-check/heartbeat")[0])
    except ExporterAway as error:
        yield Found(False, str(error), "start 'joulemark serve', or set JOULEMARK_URL to where it is seen from here")


def _ask(endpoint: Endpoint, method: str, path: str) -> tuple[int, bytes]:
    login = endpoint.authorization()
    headers = {"Content-Type": "application/json", **({"Authorization": login} if login else {})}
    data = b"{}" if method == "POST" else None
    return exchange(endpoint, method, f"/api/v1{path}", data, headers, seconds=timing.REQUEST_SECONDS)


def _token(status: int) -> Found:
    """Nobody has a window of that name: who may write is told so."""
    if status == 404:
        return Found(True, "this job may write")
    if status == 401:
        words = "the exporter refuses to be written to: the token is wrong or missing (401)"
        remedy = "set JOULEMARK_TOKEN, or JOULEMARK_TOKEN_FILE, to a token of the exporter's --api.token-file"
        return Found(False, words, remedy)
    if status == 403:
        words = "the exporter takes writes from its own machine only (403)"
        return Found(False, words, "start it with --api.token-file, and give this job a token")
    return Found(False, f"the exporter answered {status} to a write", "its log says why")


def _clock(raw: bytes) -> Found:
    """The devices were read just now, at a time of the exporter's clock."""
    try:
        ahead = time.time() - max(device["last_read_at"] for device in json.loads(raw) if device["up"])
    except (ValueError, KeyError, TypeError):
        return Found(False, "no device of the exporter can be read", "its page and 'joulemark doctor' say why")
    if abs(ahead) <= CLOCK_SECONDS:
        return Found(True, "the clock agrees with the exporter's")
    words = f"this clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the exporter's"
    remedy = "let NTP or chrony set both: no joule is wrong, but this job's own metrics lie beside other watts"
    return Found(False, words, remedy, grave=False)
