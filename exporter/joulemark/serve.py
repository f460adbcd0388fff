"""`joulemark serve`: puts sources, meter and HTTP together and runs them until told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import sys

from .api import create_app
from .clock import SystemClock
from .containers.bookings import ContainerBookings
from .containers.engine import connector
from .containers.watch import ContainerWatch
from .gpus import gpus_present
from .meter.copier import Copier
from .meter.meter import Meter
from .meter.sampler import Recovery, Sampler, StandIn
from .processes.watch import ProcessWatch
from .settings import Settings
from .sources.select import late_sources, select_sources
from .web.listeners import listening, url_of
from .web.protection import Protection
from .web.server import serve_http

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; the ledger is committed before this returns."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
    )
    _end_at_signals()
    # Both first: a file that cannot be used or a port in use must be known before the ledger is touched.
    protection = Protection(settings)
    signal.signal(signal.SIGHUP, lambda *_: protection.forget())
    with listening(settings) as listeners:
        clock = SystemClock()
        sources = select_sources(settings, clock)
        meter = Meter(
            sources, settings.state_dir, clock, keep_runs=settings.keep_runs, interval=settings.sample_interval,
            threads=True, factors=settings.factors, gpus_present=gpus_present(),
        )  # fmt: skip
        sampler = Sampler(meter, clock)
        recovery = Recovery(meter, lambda: late_sources(settings, clock, {x.source for x in meter.fleet.devices}))
        watches = _watches(settings, meter)
        stand_in = StandIn(sampler, meter)
        beside = [stand_in, recovery, Copier(meter), *watches]
        try:
            _log_devices(meter)
            for listener in listeners:
                log.info("listening=%s", url_of(listener, tls=protection.security.context is not None))
            log.info("state_dir=%s", settings.state_dir)
            sampler.start()
            for thread in beside:
                thread.start()
            app = create_app(meter, _links(settings), [watch.samples for watch in watches])
            # What is there now stays: to look through it for garbage again and again takes milliseconds each time.
            gc.collect()
            gc.freeze()
            serve_http(app, listeners, protection, settings.allowed_hosts, stand_in.watch)
        finally:
            for thread in reversed(beside):
                thread.stop()
            if sampler.is_alive():
                sampler.stop()
            meter.close()
            log.info("stopped, ledger committed")


def _end_at_signals() -> None:
    """Uvicorn hands a signal on when it has shut down: it must end `serve`, not the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def _exit(number: int, frame: object) -> None:
    del number, frame
    sys.exit(0)


def _watches(settings: Settings, meter: Meter) -> list[ContainerWatch | ProcessWatch]:
    """What looks at jobs that know nothing of us, as far as that is asked for."""
    watches: list[ContainerWatch | ProcessWatch] = []
    if settings.docker:
        watches.append(ContainerWatch(ContainerBookings(meter), connector(settings.docker_host)))
    if settings.processes:
        watches.append(ProcessWatch(lambda: {device.key: device.name for device in meter.fleet.devices}))
    return watches


def _log_devices(meter: Meter) -> None:
    for view in meter.devices():
        device = view.device
        log.info("device=%s source=%s model=%r uuid=%s", device.name, device.source, device.model, device.key)
        if device.modelled:
            log.warning("device=%s source=%s energy is MODELLED, not measured", device.name, device.source)


def _links(settings: Settings) -> dict[str, str]:
    links = {"Prometheus": settings.prometheus_url, "Grafana": settings.grafana_url}
    return {name: url for name, url in links.items() if url}
