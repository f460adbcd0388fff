"""`joulemark serve`: puts sources, meter and HTTP together and runs them until told to stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys

import uvicorn

from .api import create_app
from .clock import SystemClock
from .errors import SettingsError
from .meter import Meter
from .sampler import Recovery, Sampler
from .settings import Settings
from .sources.select import late_sources, select_sources
from .web.gate import Gate

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; the ledger is committed before this returns."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
    )
    # Uvicorn hands a signal on when it has shut down: it must end this function, not the process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    # Bound first: a port in use must be known before the ledger is touched.
    listener = _bind(*settings.host_and_port)
    clock = SystemClock()
    with listener:
        sources = select_sources(settings, clock)
        meter = Meter(sources, settings.state_dir, clock, keep_runs=settings.keep_runs, threads=True)
        sampler = Sampler(meter, clock, settings.sample_interval)
        recovery = Recovery(meter, lambda: late_sources(settings, clock, meter.sources))
        try:
            _log_devices(meter)
            log.info("listening=http://%s:%d state_dir=%s", *listener.getsockname()[:2], settings.state_dir)
            sampler.start()
            recovery.start()
            config = uvicorn.Config(
                Gate(create_app(meter)), log_level="warning", access_log=False, timeout_graceful_shutdown=3
            )
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            recovery.stop()
            if sampler.is_alive():
                sampler.stop()
            meter.close()
            log.info("stopped, ledger committed")


def _exit(number: int, frame: object) -> None:
    del number, frame
    sys.exit(0)


def _log_devices(meter: Meter) -> None:
    for view in meter.devices():
        device = view.device
        log.info("device=%s source=%s model=%r uuid=%s", device.name, device.source, device.model, device.key)
        if device.modelled:
            log.warning("device=%s source=%s energy is MODELLED, not measured", device.name, device.source)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} on {host} is in use: stop what listens there ('ss -ltnp sport = :{port}' names it) "
                "or choose another by --web.listen-address"
            ) from error
        raise SettingsError(f"cannot listen on {host}:{port}: {error}; see --web.listen-address") from error
    return listener
