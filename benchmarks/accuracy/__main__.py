"""Writes the accuracy table: `python -m benchmarks.accuracy --runs 40 --output benchmarks/results/accuracy.md`."""

from __future__ import annotations

import argparse
import datetime
import logging
import platform
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from nvml_mock import build

from .cases import CASES, Wanted
from .measure import Result, measure

_HEAD = """# Accuracy by stage

{date}, Python {python}, `python -m benchmarks.accuracy --runs {runs}`: a real meter on a mock NVML library in virtual
time, so that these figures depend on no machine's speed. The energy of every stage is known in closed form; each run
has another phase of the card's ticks and other delays of the readings. Errors and bounds are in percent of the stage:
*worst* of all stages of all runs, their *mean* size, and the *total* error that 95 of 100 runs stay within.
*Held* is how many windows have their error within the stated bound, *bound* the median bound. *Reads* are per second
and device. What a real sensor gets wrong (gain, bandwidth) is not in it. Best today: measured on the same stages.
Without a counter, a wave at a multiple of the gauge's own rate (here 10 Hz) looks steady: no bound can know of it.

| case | best today | wanted | worst | mean | total | held | bound | gap | reads |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> int:
    """Measure every case, print and write the table; 1 when a wanted figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of each case")
    parser.add_argument("--output", type=Path, help="file to write the table to")
    arguments = parser.parse_args()
    # The faults are the point here: their warnings would hide the progress.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rows, missed = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = build(folder)
        for case in CASES:
            result = measure(case, library, folder, arguments.runs)
            rows.append(_row(result))
            missed += [f"{case.name}: {figure}" for figure in result.missed]
            print(rows[-1], flush=True)
    facts = {"date": datetime.date.today(), "python": platform.python_version(), "runs": arguments.runs}
    page = _HEAD.format(**facts) + "\n".join(rows) + "\n"
    if arguments.output:
        arguments.output.write_text(page)
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


def _row(result: Result) -> str:
    case = result.case
    limits = zip(Wanted._fields, case.wanted, strict=True)
    wanted = ", ".join(f"{name} ≤ {limit:g} %" for name, limit in limits if limit is not None)
    gap = f"{max(result.gaps):.1f} s" if max(result.gaps) else "none"
    figures = f"{result.worst:.2f} | {result.mean:.3f} | {result.total:.4f} | {result.held:.1f} | {result.bound:.2f}"
    return f"| {case.name} | {case.best_today} | {wanted} | {figures} | {gap} | {result.reads_per_second:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
