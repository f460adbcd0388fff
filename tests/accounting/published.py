"""The paper's printed tables, typed in apart from the importer's, and the runs that the importer makes of them."""

from __future__ import annotations

from pathlib import Path

from joulemark.disk.history import list_runs, run_record
from joulemark.disk.ledger_file import open_for_reading
from joulemark.imports import book
from joulemark.imports.paper import paper_runs
from joulemark.run_record import RunRecord

TRAINED_TOKENS = 30.0e6
# run -> kWh, joules per token, Q.
END_TO_END = {
    "paper-sft-1b": (7.00, 0.84, 0.69),
    "paper-sft-7b": (19.50, 2.34, 0.90),
    "paper-sft-13b": (34.60, 4.15, 0.99),
    "paper-kd-1b": (16.90, 2.03, 0.70),
    "paper-kd-13b": (42.50, 5.10, 0.82),
    "paper-synthetic-sft-13b": (40.70, 4.88, 0.85),
}
# run -> kWh of data, teacher, student, eval.
BY_STAGE = {
    "paper-sft-1b": (0.37, 0.0, 6.30, 0.33),
    "paper-sft-13b": (0.37, 0.0, 33.15, 1.08),
    "paper-kd-1b": (0.37, 11.00, 5.20, 0.33),
    "paper-kd-13b": (0.37, 11.00, 30.05, 1.08),
    "paper-synthetic-sft-1b": (0.37, 10.60, 5.35, 0.33),
    "paper-synthetic-sft-13b": (0.37, 10.60, 28.65, 1.08),
}


def published_records(folder: Path) -> dict[str, RunRecord]:
    """The published runs as a ledger gives them back after `joulemark import paper`."""
    book(paper_runs(), folder)
    db = open_for_reading(folder)
    try:
        names = [str(record["run"]) for record in list_runs(db)]
        return {name: RunRecord.from_json(run_record(db, name)) for name in names}
    finally:
        db.close()
