"""`joulemark serve`: its options come from the table in `settings`."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..settings import TABLE, Setting, default_text, load_settings

HELP = """Read power, keep the ledger, serve /metrics, the stage API and a page for browsers.

Works with no option at all: http://127.0.0.1:9871, open to this machine alone.

For a cluster: --web.listen-address :9871 --api.token-file tokens --web.config.file web.yml

For jobs of other users of this machine: --web.listen-address unix:/run/joulemark.sock --web.socket-group jobs

Every option is also an environment variable (in brackets) and a key of the YAML file; options win over the
environment, that over the file. Token and web configuration files are read anew when they change, and on SIGHUP.
"""


def _serve(**options: Any) -> None:
    config_file: Path | None = options.pop("config_file")
    flags = {name: _as_typed(value) for name, value in options.items()}
    settings = load_settings(flags, os.environ, config_file)
    from ..serve import serve  # the web stack is loaded only by those who serve

    serve(settings)


def _as_typed(value: str | list[str] | bool | None) -> str | None:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else value


def _with_options() -> Any:
    """`_serve` with one typed option per row of the table, as typer reads signatures."""
    path: Any = Optional[Path]  # noqa: UP045  typer evaluates this at run time on Python 3.10 too
    parameters = [
        inspect.Parameter(row.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(row))
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


def _annotation(row: Setting) -> Any:
    kind: Any = Optional[bool] if row.switch else Optional[list[str]] if row.many else Optional[str]  # noqa: UP045
    default = default_text(row)
    words = f"{row.help} [default: {default}]" if default else row.help
    return Annotated[kind, typer.Option(f"--{row.flag}", help=f"{words} [{row.variable}]", rich_help_panel=row.group)]


command = _with_options()
