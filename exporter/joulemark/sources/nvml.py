"""NVIDIA GPUs through NVML: the energy counter first, the power gauge beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pynvml

from ..clock import Clock
from ..errors import ReadFailed, SourceUnavailable
from .base import Device, Reading, Vitals
from .bounded import BoundedCalls
from .nvml_calls import has_none, optional, reason, remedy
from .nvml_gauge import AVERAGED_CALL, INSTANT_CALL, INSTANT_FIELD, MODULE_FIELD, Gauge, find_gauge, limit_watts
from .nvml_refusals import Refusals
from .nvml_vitals import vitals_of

__all__ = ["AVERAGED_CALL", "COUNTER", "INSTANT_CALL", "INSTANT_FIELD", "MODULE_FIELD", "POWER", "NvmlSource"]

log = logging.getLogger(__name__)

COUNTER = "nvml_counter"
POWER = "nvml_power"
# How long a reload of the library waits for calls in progress.
_QUIET_SECONDS = 1.0
# How long a GPU may take to be found and described before the others go on without it.
_LOOK_SECONDS = 5.0
# How often it is reloaded while the driver is there and no GPU answers.
_RELOAD_SECONDS = 10.0


@dataclass(frozen=True)
class _Found:
    """A GPU as NVML shows it now; it gets its name later."""

    handle: Any
    device: Device
    gauge: Gauge


# Of the process and not of a source: a GPU that hangs does so for every source that is tried.
_looks: BoundedCalls[_Found] = BoundedCalls(_LOOK_SECONDS)


class NvmlSource:
    """All GPUs of this machine; `use_counter=False` integrates power even where a counter exists.

    A GPU that was seen once stays a device under its name; while it is lost its readings fail. Boards alone are
    devices, not their MIG instances: power is measured per board. `module` is the driver's folder in sysfs.
    """

    def __init__(self, clock: Clock, *, use_counter: bool = True, module: Path = Path("/sys/module/nvidia")) -> None:
        self._clock = clock
        self._use_counter = use_counter
        self._module = module
        self._handles: dict[str, Any] = {}
        self._devices: dict[str, Device] = {}
        self._gauges: dict[str, Gauge] = {}
        # Why a GPU could not be used when it was looked for, and which have not been described since the last reload.
        self._unusable = ""
        self._stale: set[str] = set()
        self._refusals = Refusals()
        self._reloaded = clock.steady()
        self._calls = 0
        self._lock = threading.Lock()
        self._call_ended = threading.Condition(self._lock)
        # Whether somebody waits for the last of the calls to end.
        self._reloading = False
        self._open_library()
        if not self._devices:
            # Not below a call that hangs in it: the library counts its users, and is let go with the last reload.
            if not self._calls:
                pynvml.nvmlShutdown()
            raise SourceUnavailable(
                f"NVML works but no GPU can be used: {self._unusable}"
                if self._unusable
                else "NVML works but shows no GPU: check the container's device request"
            )

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(self._devices.values())

    def read(self, device: Device, *, power: bool = True) -> Reading:
        # Not by way of a context manager, as this is done all the time.
        handle = self._enter(device)
        try:
            return self._read(device, handle, power)
        finally:
            self._leave()

    def _read(self, device: Device, handle: Any, power: bool) -> Reading:
        energy, failed, clock = None, "", self._clock.steady
        called = clock()
        if device.source == COUNTER:
            try:
                energy = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
                if self._refusals.keys:
                    self._refusals.keys.discard(device.key)
            except pynvml.NVMLError as error:
                failed = self._refusals.reason(device, error)
        answered = clock()
        if not power and energy is not None:
            return Reading(answered, energy, None, False, called, answered)
        try:
            watts = self._gauges[device.key].watts(handle)
        except pynvml.NVMLError as error:
            if energy is None:
                raise ReadFailed(failed or reason(error), f"{device.key}: {error}") from error
            # A counter without a power reading beside it is still a whole reading.
            return Reading(answered, energy, None, False, called, answered, reason(error))
        return Reading((answered + clock()) / 2, energy, watts, True, called, answered, failed)

    def calls(self, device: Device) -> dict[str, Callable[[], float]]:
        """What a reading of a device may ask, by name, each question alone: joules or watts, or ReadFailed."""
        gauge = self._gauges[device.key]
        questions: dict[str, Callable[[Any], float]] = {
            "counter": lambda handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
            "power_field": gauge.watts,
            "power_call": Gauge(None).watts,
        }
        if gauge.scope is None:
            del questions["power_field"]
        return {name: partial(self._ask, question, device) for name, question in questions.items()}

    def vitals(self, device: Device) -> Vitals | None:
        try:
            with self._handle(device) as handle:
                return vitals_of(handle)
        except ReadFailed:
            return None

    def recover(self, failing: frozenset[str]) -> None:
        """Take lost GPUs' handles anew; when no GPU answers at all, load the library's state anew.

        That at once where the driver is gone, else now and then: a GPU that comes back by itself needs none of it, and
        one that is reset needs us to let it go.
        """
        now = self._clock.steady()
        if not failing or not failing >= set(self._devices):
            self._reloaded = now
        elif optional(pynvml.nvmlDeviceGetCount) is None or now - self._reloaded >= _RELOAD_SECONDS:
            self._reloaded = now
            self._reload()
            return
        for key in failing & set(self._handles):
            self._handles[key] = optional(pynvml.nvmlDeviceGetHandleByUUID, key, default=self._handles[key])
        if self._unusable:
            optional(self._find_gpus)

    def close(self) -> None:
        optional(pynvml.nvmlShutdown)

    def _ask(self, question: Callable[[Any], float], device: Device) -> float:
        with self._handle(device) as handle:
            try:
                return question(handle)
            except pynvml.NVMLError as error:
                raise ReadFailed(reason(error), f"{device.key}: {error}") from error

    @contextmanager
    def _handle(self, device: Device) -> Iterator[Any]:
        """A GPU's handle for some calls, during which the library is not reloaded."""
        handle = self._enter(device)
        try:
            yield handle
        finally:
            self._leave()

    def _enter(self, device: Device) -> Any:
        with self._lock:
            handle = self._handles.get(device.key)
            if handle is None:
                raise ReadFailed("gpu_is_lost", f"NVML does not show {device.key} any more")
            self._calls += 1
            return handle

    def _leave(self) -> None:
        with self._lock:
            self._calls -= 1
            if self._reloading and not self._calls:
                self._call_ended.notify_all()

    @contextmanager
    def _in_call(self) -> Iterator[None]:
        with self._lock:
            self._calls += 1
        try:
            yield
        finally:
            self._leave()

    def _reload(self) -> None:
        with self._lock:
            self._reloading = True
            quiet = self._call_ended.wait_for(lambda: not self._calls, _QUIET_SECONDS)
            self._reloading = False
            if not quiet:
                return
            self._handles.clear()
        while optional(pynvml.nvmlShutdown, default=True) is None:
            pass  # The library counts its users: the driver is let go with the last one.
        try:
            self._open_library()
        except SourceUnavailable as why:
            log.debug("source=nvml recovered=false reason=%s", why)

    def _open_library(self) -> None:
        try:
            pynvml.nvmlInit()
            self._stale = set(self._devices)
            self._find_gpus()
        except pynvml.NVMLError as error:
            raise SourceUnavailable(f"NVML: {error}. {remedy(error)}") from error

    def _find_gpus(self) -> None:
        """Take the handle of every GPU that answers and describe it; those that do not are left for later."""
        unusable = ""
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                self._take(index, _looks.call(f"look-at-gpu-{index}", partial(self._look, index)))
            except (pynvml.NVMLError, TimeoutError) as error:
                hung = isinstance(error, TimeoutError)
                unusable = "it does not answer: see dmesg for Xid errors" if hung else f"{error}. {remedy(error)}"
                log.log(
                    logging.DEBUG if self._unusable else logging.WARNING,
                    "gpu_index=%d not usable now, tried again every second: %s",
                    index, unusable,
                )  # fmt: skip
        self._unusable = unusable

    def _look(self, index: int) -> _Found:
        with self._in_call():
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            key = _text(pynvml.nvmlDeviceGetUUID(handle))
            known = self._devices.get(key)
            if known and key not in self._stale:
                return _Found(handle, known, self._gauges[key])
            return self._describe(key, handle)

    def _take(self, index: int, found: _Found) -> None:
        key = found.device.key
        self._gauges[key] = found.gauge
        self._devices[key] = replace(found.device, name=self._name(index, key))
        self._handles[key] = found.handle
        self._stale.discard(key)

    def _name(self, index: int, key: str) -> str:
        """The name a GPU has already; a new one is named after its index, or after the next that is free."""
        if key in self._devices:
            return self._devices[key].name
        taken = {device.name for device in self._devices.values()}
        while f"gpu{index}" in taken:
            index += 1
        return f"gpu{index}"

    def _describe(self, key: str, handle: Any) -> _Found:
        counter = pynvml.nvmlDeviceGetTotalEnergyConsumption
        counted = self._use_counter and not has_none(counter, handle, refused_is_none=False)
        model = _text(pynvml.nvmlDeviceGetName(handle))
        gauge = find_gauge(handle, model)
        mig = optional(pynvml.nvmlDeviceGetMigMode, handle)
        device = Device(
            name="",
            key=key,
            source=COUNTER if counted else POWER,
            model=f"{model} (whole module, CPU included)" if gauge.of_module else model,
            driver=_text(pynvml.nvmlSystemGetDriverVersion()),
            epoch=self._epoch(),
            power_limit_watts=limit_watts(handle),
            averaging_seconds=gauge.averaging_seconds,
            fallback=POWER,
            gauge=gauge.name,
            mig=bool(mig and mig[0]),
        )
        return _Found(handle, device, gauge)

    def _epoch(self) -> str:
        """The boot and the load of the driver during which counters go on: sysfs numbers each load anew."""
        try:
            return f"{self._clock.boot()}:{self._module.stat().st_ino}"
        except OSError:
            return self._clock.boot()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
