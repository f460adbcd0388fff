"""`joulemark frontier`: says which runs are on the energy-quality frontier, scraped like any exporter."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..addresses import parse_addresses
from ..errors import SettingsError
from ..settings import Settings

DEFAULT_ADDRESS = "127.0.0.1:9872"


def command(
    prometheus: Annotated[
        str, typer.Option("--prometheus", envvar="JOULEMARK_PROMETHEUS", help="URL of the Prometheus with the rules.")
    ],
    listen_address: Annotated[
        list[str] | None,
        typer.Option("--web.listen-address", help=f"Where to serve; repeat for several. Default {DEFAULT_ADDRESS}."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--web.config.file", help="TLS and basic auth, as of the Prometheus exporters.")
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", min=0.1, max=60, help="Seconds to wait for an answer of Prometheus.")
    ] = 2.0,
    log_level: Annotated[str, typer.Option("--log.level", help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve joulemark_run_pareto_optimal: 1 for runs that no other beats in energy and quality, 0 for the others.

    Reads the recording rules from Prometheus at each scrape and keeps nothing; let the same Prometheus scrape it.
    When Prometheus is away, joulemark_frontier_up is 0 and there are no flags.
    """
    try:
        addresses = parse_addresses(",".join(listen_address or [DEFAULT_ADDRESS]))
    except ValueError as error:
        raise SettingsError(f"--web.listen-address: {error}: use HOST:PORT or unix:/PATH") from error
    settings = Settings(state_dir=Path(), listen_addresses=addresses, web_config_file=config_file, log_level=log_level)
    logging.basicConfig(
        level=settings.log_level.upper(), format="ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
    )
    _serve(settings, prometheus, timeout_seconds)


def _serve(settings: Settings, prometheus: str, timeout_seconds: float) -> None:
    # The web stack is loaded only by those who serve.
    from ..frontier.pages import create_app
    from ..web.listeners import listening, url_of
    from ..web.protection import Protection
    from ..web.server import serve_http

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    protection = Protection(settings)
    signal.signal(signal.SIGHUP, lambda *_: protection.forget())
    with listening(settings) as listeners:
        for listener in listeners:
            url = url_of(listener, tls=protection.security.context is not None)
            logging.getLogger(__name__).info("listening=%s prometheus=%s", url, prometheus)
        serve_http(create_app(prometheus, timeout_seconds), listeners, protection, settings.allowed_hosts)
