"""Where `joulemark report` reads from: an exporter, ledgers on disk, or Prometheus, alone or beside one of these."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..accounting import joined
from ..disk.history import list_devices, list_runs, run_record
from ..disk.ledger_file import open_for_reading
from ..factors import Factors
from ..prometheus_runs import Scraped, StageKey, stage_joules
from ..report import DeviceFacts, PowerCurve, power_curves
from ..run_record import RunRecord
from .stage import ask

# Power curves are fetched for so many runs at most: a page with more of them is read by nobody.
_MOST_CURVES = 12


@dataclass(frozen=True)
class Asked:
    """The addresses and folders that were named; nothing named means the exporter of JOULEMARK_URL."""

    url: str = ""
    ledgers: tuple[Path, ...] = ()
    prometheus: str = ""
    lookback: str = "90d"
    power: bool = False


@dataclass(frozen=True)
class Read:
    """What was read: every known run, Prometheus' own joules where it stands beside, devices, power, and whence.

    `factors` are those that exporters are configured with, where an exporter or Prometheus was asked.
    """

    records: Mapping[str, RunRecord]
    prometheus: Mapping[StageKey, float] | None
    devices: list[DeviceFacts]
    curves: list[PowerCurve]
    factors: Factors
    told: str


def read_runs(asked: Asked, names: Sequence[str]) -> Read:
    """Read all runs; power curves of the named ones alone, of all when none is. Raises JoulemarkError."""
    scraped = Scraped(asked.prometheus, None, asked.lookback) if asked.prometheus else None
    if asked.ledgers:
        records, devices = _from_ledgers(asked.ledgers)
        told = (
            "read from its ledger"
            if len(asked.ledgers) == 1
            else f"read from the ledgers of {len(asked.ledgers)} nodes"
        )
    elif scraped is None or asked.url:
        records, devices = _from_exporter(asked.url)
        told = "read from its exporter"
    else:
        records, devices = scraped.records(), scraped.devices()
        told = "read from Prometheus"
    beside = scraped is not None and told != "read from Prometheus"
    drawn = [name for name in names or in_order(records) if name in records][:_MOST_CURVES]
    return Read(
        {name: records[name] for name in in_order(records)},
        stage_joules(scraped.records().values()) if beside and scraped else None,
        [DeviceFacts(**{name: one[name] for name in DeviceFacts.__dataclass_fields__}) for one in devices],
        power_curves(asked.prometheus, drawn, asked.lookback) if asked.power and asked.prometheus else [],
        _factors(asked, scraped),
        told + (", beside Prometheus" if beside else ""),
    )


def in_order(records: Mapping[str, RunRecord]) -> list[str]:
    """The runs in the order in which they were made, where that is known, else by name."""
    return sorted(records, key=lambda name: (records[name].created_at or 0.0, name))


def _factors(asked: Asked, scraped: Scraped | None) -> Factors:
    if scraped is not None:
        return scraped.factors()
    return Factors() if asked.ledgers else Factors.from_json(ask("GET", "/factors"))


def _from_exporter(url: str) -> tuple[dict[str, RunRecord], list[dict[str, Any]]]:
    if url:
        os.environ["JOULEMARK_URL"] = url
    names = [record["run"] for record in ask("GET", "/runs")]
    records = {name: RunRecord.from_json(ask("GET", f"/runs/{quote(name, safe='')}")) for name in names}
    return records, ask("GET", "/devices")


def _from_ledgers(folders: Sequence[Path]) -> tuple[dict[str, RunRecord], list[dict[str, Any]]]:
    told: list[tuple[str, RunRecord]] = []
    devices: list[dict[str, Any]] = []
    for folder in folders:
        db = open_for_reading(folder)
        try:
            names = [str(record["run"]) for record in list_runs(db)]
            told += [(str(folder), RunRecord.from_json(run_record(db, name))) for name in names]
            prefix = f"{folder}/" if len(folders) > 1 else ""
            devices += [{**one, "device": f"{prefix}{one['device']}"} for one in list_devices(db)]
        finally:
            db.close()
    return joined(told), devices
