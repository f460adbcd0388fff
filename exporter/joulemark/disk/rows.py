"""Between what the ledger knows and rows of its tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic_core import to_json

from ..attribution.attribution import DeviceAccount
from ..attribution.ticks import Tick
from ..ledger.changes import Changes
from ..ledger.snapshot import Artifact, DeviceHealth, Score
from ..ledger.state import Answered, Counts, Run, State
from ..ledger.windows import SeriesKey, Totals, Window
from ..sources.base import Device
from .batch import Batch, Row

# By column name: a row of SQLite, or a dict.
Columns = Any


def batch_of(changes: Changes) -> Batch:
    """The rows of all that changed; they stay as they are when the ledger goes on."""
    state, batch = changes.state, Batch()
    batch.forget(changes.forgotten)
    batch.put("device", [_device_row(state, key) for key in changes.devices])
    batch.put("run", map(run_row, (*changes.left.values(), *(state.runs[name] for name in changes.runs))))
    for run in (state.runs[name] for name in changes.facts):
        batch.put("score", ((run.name, *score) for score in run.scores.values()))
        batch.put("artifact", ((run.name, *artifact) for artifact in run.artifacts.values()))
    batch.put("window", [window_row(state.windows[x]) for x in changes.windows])
    batch.put("series", [(*key, totals_text(state.series[key])) for key in changes.series])
    batch.put("pruned", ((device, str(state.pruned[device])) for device in changes.pruned))
    for key in changes.requests:
        known = state.answered.get(key)
        if known is None:
            batch.drop("request", key)
        else:
            batch.put("request", [(key, known.asked, known.window, _text(known.ended))])
    if changes.counts != state.counts:
        batch.put("meta", [("counts", _text(vars(state.counts)))])
        batch.put("meta", (row for row in (("boot", state.boot), ("ledger_id", state.ledger_id)) if row[1]))
    return batch


# -- devices -----------------------------------------------------------------------------------------------


def _device_row(state: State, key: str) -> Row:
    account = state.accounts[key]
    d, settled = account.device, account.settled
    health = state.health.get(key, DeviceHealth())
    unsettled = {
        "spread": settled.spread if settled else None,
        "holders": account.hand_overs.settled,
        "boundaries": account.hand_overs.ahead,
        "seen": account.coming.until(account.steady),
        "shown": account.coming.known(d),
    }
    return (
        d.key, d.name, d.source, d.model, d.driver, d.epoch, d.modelled, account.total_joules, account.gap_seconds,
        settled.joules if settled else None, settled.at if settled else None, _text(unsettled),
        health.reads, _counts_text(health.errors), _counts_text(state.breaks.get(key, {})), state.seen_at.get(key),
    )  # fmt: skip


def _text(value: object) -> str:
    """JSON, every float exactly, by far the fastest way: this is done again and again."""
    return to_json(value).decode()


def _counts_text(counts: Mapping[str, int]) -> str:
    """Mostly there is nothing to count."""
    return _text(dict(counts)) if counts else "{}"


def add_device(state: State, row: Columns) -> None:
    """Put a device with its account and its health into the state."""
    key = row["key"]
    device = Device(
        name=row["name"], key=key, source=row["source"], model=row["model"],
        driver=row["driver"], epoch=row["epoch"], modelled=bool(row["modelled"]),
    )  # fmt: skip
    state.accounts[key] = _account(device, row)
    state.health[key] = DeviceHealth(reads=row["reads"], errors=json.loads(row["errors"]))
    state.breaks[key] = json.loads(row["breaks"])
    if row["seen_at"] is not None:
        state.seen_at[key] = row["seen_at"]


def _account(device: Device, row: Columns) -> DeviceAccount:
    unsettled = json.loads(row["unsettled"])
    settled = None
    if row["counter_joules"] is not None:
        settled = Tick(row["settled_steady"], unsettled.get("spread") or 0.0, row["counter_joules"])
    return DeviceAccount(
        device, row["joules"], row["gap_seconds"], settled, tuple(unsettled.get("holders", ())),
        [(at, tuple(holders)) for at, holders in unsettled.get("boundaries", ())],
        steady=unsettled.get("seen", row["settled_steady"]), shown=[Tick(*tick) for tick in unsettled.get("shown", ())],
    )  # fmt: skip


# -- runs, windows, series ---------------------------------------------------------------------------------


def run_row(run: Run) -> Row:
    """A run as a row; its scores and artifacts have tables of their own."""
    return run.name, run.created_at, run.last_active_at, run.origin, json.dumps(run.declared), run.retired


def run_of(row: Columns) -> Run:
    """A run from its row."""
    declared = json.loads(row["declared"])
    return Run(
        row["run"], row["created_at"], row["last_active_at"], row["origin"], declared, retired=bool(row["retired"])
    )


def add_score(run: Run, row: Columns) -> None:
    """Give a run a score of its own."""
    run.scores[row["benchmark"]] = Score(row["benchmark"], row["score"], row["reference"], row["n"], row["stderr"])


def add_artifact(run: Run, row: Columns) -> None:
    """Give a run an artifact of its own."""
    run.artifacts[row["artifact"], row["role"]] = Artifact(row["artifact"], row["kind"], row["role"])


def window_row(x: Window) -> Row:
    """A window as a row."""
    return (
        x.id, *x.key, _text(x.devices), x.state, x.share, x.shared, x.parent, x.started_at, x.ended_at,
        x.lease_seconds, x.lease_until, x.running_since, totals_text(x.totals),
    )  # fmt: skip


def window_of(row: Columns) -> Window:
    """A window from its row."""
    return Window(
        id=row["id"], key=key_of(row), devices=json.loads(row["devices"]), started_at=row["started_at"],
        state=row["state"], share=bool(row["share"]), shared=bool(row["shared"]), parent=row["parent"],
        lease_seconds=row["lease_seconds"], lease_until=row["lease_until"], ended_at=row["ended_at"],
        running_since=row["running_since"], totals=totals_from(row["totals"]),
    )  # fmt: skip


def key_of(row: Columns) -> SeriesKey:
    """The series that a row belongs to."""
    return SeriesKey(row["run"], row["stage"], row["phase"])


def totals_text(totals: Totals) -> str:
    """Totals as stored: every float exactly."""
    fields = vars(totals)
    # A bound without end (imported energy) is null, as JSON has no infinity.
    return _text(fields if math.isfinite(totals.bound_joules) else {**fields, "bound_joules": None})


def totals_from(text: str) -> Totals:
    """Totals as stored; those of schema version 1 knew a bound alone."""
    fields = json.loads(text)
    if "uncertainty_joules" in fields:
        fields["bound_joules"] = fields.pop("uncertainty_joules")
    if fields.get("bound_joules", 0.0) is None:
        fields["bound_joules"] = math.inf
    return Totals(**fields)


# -- the rest ----------------------------------------------------------------------------------------------


def answered_of(row: Columns) -> Answered:
    """A transition that was answered before."""
    return Answered(row["key"], row["asked"], row["window"], tuple(json.loads(row["ended"])))


def counts_of(meta: Mapping[str, str]) -> Counts:
    """The counts of the exporter's own; schema version 2 kept one of them."""
    if "counts" in meta:
        return Counts(**json.loads(meta["counts"]))
    return Counts(windows_expired=int(meta.get("windows_expired", "0")))


def joules_of(row: Columns) -> Fraction:
    """Exact joules of pruned runs."""
    return Fraction(row["joules"])
