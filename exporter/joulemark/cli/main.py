"""Puts the subcommands together and turns every expected error into one clear line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import JoulemarkError
from . import check, doctor, frontier, import_, ledger, report, runs, serve, stage
from . import exec as exec_command

app = typer.Typer(
    name="joulemark",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # So that lines of a paragraph flow together.
    help="Says where the joules of a language-model pipeline go, stage by stage. "
    "Start with 'joulemark serve', then 'joulemark exec --run R --stage S -- your command'.",
)
app.command("serve", help=serve.HELP)(serve.command)
app.command("exec", context_settings={"ignore_unknown_options": True})(exec_command.command)
app.command("check")(check.command)
app.add_typer(stage.app, name="stage")
app.command("runs")(runs.command)
app.command("report", help=report.HELP)(report.command)
app.command("frontier")(frontier.command)
app.add_typer(import_.app, name="import")
app.add_typer(ledger.app, name="ledger")
app.command("doctor", help=doctor.HELP)(doctor.command)


@app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if show_version:
        typer.echo(f"joulemark {version('joulemark')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2."""
    try:
        app()
    except JoulemarkError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]joulemark:[/] {escape(str(error))}", highlight=False)
        sys.exit(2)
