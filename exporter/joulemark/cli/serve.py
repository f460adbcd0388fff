"""`joulemark serve`: its options come from the table in `settings`."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..settings import TABLE, load_settings

HELP = (
    "Read power, keep the ledger, serve /metrics and the stage API. Every option is also an environment variable "
    "(shown beside it) and a key of the YAML file; options win over the environment, that over the file."
)


def _serve(**options: Any) -> None:
    config_file: Path | None = options.pop("config_file")
    settings = load_settings(options, os.environ, config_file)
    from ..serve import serve  # the web stack is loaded only by those who serve

    serve(settings)


def _with_options() -> Any:
    """`_serve` with one typed option per row of the table, as typer reads signatures."""
    kind: Any = Optional[str]  # noqa: UP045  typer evaluates this at run time on Python 3.10 too
    path: Any = Optional[Path]  # noqa: UP045
    parameters = [
        inspect.Parameter(
            row.field,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind, typer.Option(f"--{row.flag}", help=f"{row.help} [{row.variable}]")],
        )
        for row in TABLE
    ]
    option = typer.Option("--config.file", help="YAML file with the same keys.", envvar="JOULEMARK_CONFIG_FILE")
    parameters.append(
        inspect.Parameter(
            "config_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[path, option]
        )
    )

    def command(**options: Any) -> None:
        _serve(**options)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


command = _with_options()
