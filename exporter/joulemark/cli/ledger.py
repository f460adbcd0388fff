"""`joulemark ledger`: take a whole ledger to another machine or into another program, and back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ..disk.ledger_file import FILE_NAME, open_for_reading
from ..disk.transfer import export_lines, import_lines
from ..errors import LedgerError
from ..settings import default_state_dir

app = typer.Typer(
    no_args_is_help=True,
    help="Export a whole ledger as JSON lines, and import it again: what comes back is the same to the last bit.",
)
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="The ledger's folder, as of 'joulemark serve'.")]


@app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(help="Write here; to stdout when left out.")] = None,
    state_dir: StateDir = None,
) -> None:
    """Write every row of the ledger as a line of JSON; a running exporter may go on meanwhile.

    The first line names format and schema, each other line is one row: {"run": {"run": "kd-1b", …}}.
    """
    folder = state_dir or default_state_dir()
    with contextlib.closing(open_for_reading(folder)) as db, _target(file) as target:
        lines = 0
        for line in export_lines(db, folder / FILE_NAME):
            target.write(f"{line}\n")
            lines += 1
    if file is not None:
        typer.echo(f"{lines} lines of {folder / FILE_NAME} exported to {file}", err=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What 'joulemark ledger export' wrote; - is stdin.")],
    state_dir: StateDir = None,
) -> None:
    """Make a new ledger of an exported one, all of it or nothing; a folder that has a ledger is refused.

    'joulemark serve' on it goes on from where the exported one was.
    """
    folder = state_dir or default_state_dir()
    with _source(file) as lines:
        rows = import_lines(lines, folder)
    typer.echo(
        f"{rows['run']} runs with {rows['window']} windows on {rows['device']} devices imported into {folder}", err=True
    )


@contextlib.contextmanager
def _target(file: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that takes its name only when it is whole."""
    if file is None:
        yield sys.stdout
        return
    begun = file.with_name(f"{file.name}.part")
    try:
        with begun.open("w", encoding="utf-8") as target:
            yield target
        begun.replace(file)
    except OSError as error:
        raise LedgerError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        begun.unlink(missing_ok=True)


@contextlib.contextmanager
def _source(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        with file.open(encoding="utf-8") as source:
            yield source
    except OSError as error:
        raise LedgerError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LedgerError(f"{file} is no exported ledger: {error}") from error
