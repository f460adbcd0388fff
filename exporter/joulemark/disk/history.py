"""What the ledger tells about windows and runs: summaries and full accounts, as plain JSON-ready dicts."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..accounting import joules_per_token
from ..attribution.attribution import DeviceAccount
from ..attribution.pending import pending
from ..ledger.snapshot import Artifact, Score
from ..ledger.windows import Totals, Window
from .rows import totals_from

Record = dict[str, object]
_DECLARED = ("pipeline", "student", "teacher", "dataset", "seed", "baseline", "reference", "idle_watts")


def window_summary(window: Window, accounts: Mapping[str, DeviceAccount], *, just_begun: bool = False) -> Record:
    """Summary of one window: joules in all and by device, the bound on them, seconds, watts, tokens, state.

    `settled` is false while the counter has yet to confirm the last tick; what is estimated of it is then included. Of
    one that has `just_begun` there is nothing to estimate.
    """
    joules, bound = dict(window.totals.joules), window.totals.known_bound_joules
    for key in [] if just_begun else window.devices:
        if key in accounts:
            estimate = pending(accounts[key], window.id)
            joules[key] = joules.get(key, 0.0) + estimate.joules
            bound = None if bound is None else bound + estimate.bound_joules
    names = {key: account.device.name for key, account in accounts.items()}
    total = sum(joules.values())
    return {
        "id": window.id,
        "run": window.key.run,
        "stage": window.key.stage,
        "phase": window.key.phase,
        "state": window.state,
        "devices": sorted([names.get(key, key) for key in window.devices]),
        "shared": window.shared,
        "modelled": any(accounts[key].device.modelled for key in window.devices if key in accounts),
        "lease_seconds": window.lease_seconds,
        "started_at": window.started_at,
        "ended_at": window.ended_at,
        "seconds": window.totals.known_seconds,
        "joules": total,
        "joules_by_device": {names.get(key, key): value for key, value in joules.items()},
        "uncertainty_joules": bound,
        "settled": not any(window.id in account.referenced for account in accounts.values()),
        **_rates(window.totals, total),
    }


def list_runs(db: sqlite3.Connection, limit: int = 1000) -> list[Record]:
    """The newest runs, each with its declaration and its energy in joules."""
    newest = "SELECT run FROM run ORDER BY last_active_at DESC LIMIT ?"
    totals: dict[str, list[Totals]] = defaultdict(list)
    for row in db.execute(f"SELECT run, totals FROM series WHERE run IN ({newest})", (limit,)):  # noqa: S608
        totals[row["run"]].append(totals_from(row["totals"]))
    rows = db.execute("SELECT * FROM run ORDER BY last_active_at DESC LIMIT ?", (limit,))
    return [{**_declaration(row), **_sums(totals[row["run"]])} for row in rows]


def run_record(db: sqlite3.Connection, name: str) -> Record | None:
    """Full accounting of one run, None when the ledger has never heard of it."""
    row = db.execute("SELECT * FROM run WHERE run = ?", (name,)).fetchone()
    if row is None:
        return None
    scores, artifacts = scores_and_artifacts(db, name)
    series = db.execute("SELECT totals FROM series WHERE run = ?", (name,))
    return {
        **_declaration(row),
        **_sums([totals_from(x["totals"]) for x in series]),
        "stages": _stages(db, name),
        "scores": [score._asdict() for score in scores],
        "artifacts": [artifact._asdict() for artifact in artifacts],
    }


def _declaration(row: sqlite3.Row) -> Record:
    declared = json.loads(row["declared"])
    return {
        "run": row["run"],
        **{field: declared.get(field) for field in _DECLARED},
        "labels": declared.get("labels") or {},
        "origin": row["origin"],
        "created_at": row["created_at"],
        "last_active_at": row["last_active_at"],
    }


def _sums(stages: Sequence[Totals]) -> Record:
    return {
        "joules": sum(sum(totals.joules.values()) for totals in stages),
        "uncertainty_joules": _sum_if_whole([totals.known_bound_joules for totals in stages]),
        "seconds": _sum_if_whole([totals.known_seconds for totals in stages]),
    }


def _sum_if_whole(values: Sequence[float | None]) -> float | None:
    """The sum; None where a part is not known, as part of a run must not pass for all of it."""
    known = [value for value in values if value is not None]
    return sum(known, 0.0) if len(known) == len(values) else None


def scores_and_artifacts(db: sqlite3.Connection, name: str) -> tuple[tuple[Score, ...], tuple[Artifact, ...]]:
    """A run's scores and artifacts, sorted."""
    # All columns, as a file of an earlier release is read as it is and has fewer.
    scores = db.execute("SELECT * FROM score WHERE run = ? ORDER BY benchmark", (name,))
    artifacts = db.execute("SELECT artifact, kind, role FROM artifact WHERE run = ? ORDER BY 1, 3", (name,))
    return tuple(Score(*tuple(row)[1:]) for row in scores), tuple(Artifact(*row) for row in artifacts)


def _stages(db: sqlite3.Connection, name: str) -> list[Record]:
    """The stages of a run in the order in which they began."""
    rows = db.execute(
        "SELECT s.stage, s.phase, s.totals, count(w.id) AS windows, min(w.started_at) AS began "
        "FROM series s LEFT JOIN window w ON w.run = s.run AND w.stage = s.stage AND w.phase = s.phase "
        "WHERE s.run = ? GROUP BY s.stage, s.phase ORDER BY began",
        (name,),
    )
    names = {row["key"]: row["name"] for row in db.execute("SELECT key, name FROM device")}
    return [_stage(row, names) for row in rows.fetchall()]


def _stage(row: sqlite3.Row, names: Mapping[str, str]) -> Record:
    totals = totals_from(row["totals"])
    joules = sum(totals.joules.values())
    integral = by_name(totals.integral_joules, names)
    return {
        "stage": row["stage"],
        "phase": row["phase"],
        "seconds": totals.known_seconds,
        "joules": joules,
        "uncertainty_joules": totals.known_bound_joules,
        "joules_by_device": by_name(totals.joules, names),
        "power_integral_joules": sum(integral.values()) if integral else None,
        "power_integral_joules_by_device": integral,
        "windows": row["windows"],
        **_rates(totals, joules),
    }


def list_devices(db: sqlite3.Connection) -> list[Record]:
    """The devices that the ledger has energy of; `tick_seconds` is not kept on disk."""
    rows = db.execute("SELECT name, key, source, model, driver, modelled FROM device ORDER BY name").fetchall()
    return [
        {
            "device": row["name"],
            "uuid": row["key"],
            "source": row["source"],
            "model": row["model"],
            "driver": row["driver"],
            "modelled": bool(row["modelled"]),
            "tick_seconds": None,
        }
        for row in rows
    ]


def by_name(joules: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Joules by device name; two keys that had the same name (a replaced GPU) are added up."""
    totals: dict[str, float] = {}
    for key, value in joules.items():
        totals[names.get(key, key)] = totals.get(names.get(key, key), 0.0) + value
    return totals


def _rates(totals: Totals, joules: float) -> Record:
    return {
        "mean_watts": joules / totals.seconds if totals.seconds > 0 else None,
        "peak_watts": totals.peak_watts or None,
        "tokens": dict(totals.tokens),
        "joules_per_token": joules_per_token(joules, totals.tokens),
    }
