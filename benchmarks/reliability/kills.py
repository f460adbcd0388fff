"""How many SIGKILLs at random instants the ledger survives with nothing lost, beside a real Prometheus.

    python -m benchmarks.reliability.kills [--kills 300] [--callers 4] [--seed 1]

Callers switch stages, renew, end and score all the time, a scraper and a Prometheus scrape, and the exporter is killed
again and again: under load, and one time in five while it still starts. After every kill the ledger on disk must be
whole, and after every start: no counter that anybody has seen is lower, stages add up to their devices, all that was
answered is there, and a transition asked for again has happened once. At the end the joules of all devices must be
those that their counters gained from the first look to the last, time without an exporter included, to rounding: the
counters of the replay source refresh every 0.1 s, so a look within one tick has exactly one right answer. Ends with 1
when anything of this does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from .exporter import Exporter, write_trace
from .killed_load import Caller, Scraper
from .prometheus import Prometheus
from .record import Row, keep, kept, show

WATTS = 200.0
_TITLE = "Kills"
_COLUMNS = (
    "| campaign | kills | while starting | transitions | scrapes | Prometheus resets | residual, J | drawn, J "
    "| missing, J | faults |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
TICK_SECONDS = 0.1
# A hand-over is booked when the ticks after it have told the power of the new stage, or 2 s later.
SETTLED_SECONDS = 3.0
# Sums of floats over some hours of counters.
ROUNDING_JOULES = 1e-3


@dataclass
class Campaign:
    """What was seen: kills survived, what was held against what, and every fault by its words."""

    kills: int = 0
    starting: int = 0
    windows: int = 0
    scrapes: int = 0
    calls_refused: int = 0
    worst_residual: float = 0.0
    prometheus_resets: float = 0.0
    prometheus_residual: float = 0.0
    missing_joules: float = 0.0
    true_joules: float = 0.0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="add them to those in results/reliability.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = campaign(Path(folder), options.kills, options.callers, options.seed, tell=sys.stderr.isatty())
    rows = _figures(seen)
    show([*rows, *(("FAULT", fault) for fault in seen.faults[:20])])
    if options.record:
        _add_to_record(seen, options.seed)
    sys.exit(bool(seen.faults))


def _figures(seen: Campaign) -> list[Row]:
    return [
        ("kills", f"{seen.kills} survived, {seen.starting} of them while the exporter was starting"),
        ("answered", f"{seen.windows} transitions, each in the ledger once; {seen.calls_refused} refused"),
        ("scrapes", f"{seen.scrapes}, stages miss their device by at most {seen.worst_residual:.2g} J"),
        ("prometheus", f"{seen.prometheus_resets:.0f} counter resets, residual {seen.prometheus_residual:.2g} J"),
        ("energy", f"{seen.true_joules:.0f} J drawn, {seen.missing_joules:+.2g} J of them missing"),
    ]


def _add_to_record(seen: Campaign, seed: int) -> None:
    """One row more in the table of campaigns, and their sums above it."""
    campaigns = [line for line in kept(_TITLE).splitlines() if line.startswith("| seed ")]
    campaigns.append(
        f"| seed {seed} | {seen.kills} | {seen.starting} | {seen.windows} | {seen.scrapes} | "
        f"{seen.prometheus_resets:.0f} | {seen.worst_residual:.2g} | {seen.true_joules:.0f} | "
        f"{seen.missing_joules:+.2g} | {len(seen.faults)} |"
    )
    kills, starting, windows, scrapes, resets, *_, faults = (
        sum(float(cell) for cell in column)
        for column in zip(*(line.strip("|").split("|")[1:] for line in campaigns), strict=True)
    )
    text = (
        f"{kills:.0f} SIGKILLs, {starting:.0f} of them while the exporter was starting: {faults:.0f} faults. "
        f"{windows:.0f} transitions were answered, each is in the ledger once. Prometheus, which scraped four times a "
        f"second, and another scraper with {scrapes:.0f} scrapes saw {resets:.0f} counters go down.\n\n"
    )
    keep(_TITLE, text + "\n".join([*_COLUMNS, *campaigns]))


def campaign(folder: Path, kills: int, callers: int, seed: int, *, tell: bool = False) -> Campaign:
    """Kill so many times and hold everything against everything; needs a Prometheus on PATH."""
    seen, chance = Campaign(), random.Random(seed)
    exporter = Exporter(folder, write_trace(folder / "trace.yml", callers, WATTS))
    exporter.spawn()
    exporter.wait_until_ready()
    prometheus = Prometheus(folder / "prometheus", exporter.port)
    jobs = [Caller(exporter, number, seed) for number in range(callers)]
    scraper = Scraper(exporter)
    first = _look_within_a_tick(scraper)
    threads: list[Caller | Scraper] = [*jobs, scraper]
    for thread in threads:
        thread.start()
    try:
        for number in range(kills):
            _kill_and_start(exporter, seen, chance)
            seen.faults += [f"kill {number + 1}: {fault}" for fault in prometheus.faults()]
            if tell:
                print(f"\r{seen.kills} kills, {len(seen.faults)} faults", end="", file=sys.stderr, flush=True)
        for thread in threads:
            thread.stop()
        _check_answers(exporter, jobs, seen)
        _check_truth(scraper, seen, first)
        prometheus.wait_for_scrape()
        seen.faults += prometheus.faults()
        seen.prometheus_resets, seen.prometheus_residual = prometheus.resets(), prometheus.worst_residual()
    finally:
        prometheus.stop()
        exporter.stop()
    seen.scrapes, seen.worst_residual = scraper.scrapes, scraper.worst_residual
    seen.faults += scraper.gone_down
    if scraper.worst_residual > 1e-3:
        seen.faults.append(f"stages miss their device by {scraper.worst_residual} J")
    return seen


def _kill_and_start(exporter: Exporter, seen: Campaign, chance: random.Random) -> None:
    time.sleep(chance.uniform(0.0, 0.8))
    exporter.kill()
    seen.faults += _damage(exporter.ledger)
    exporter.spawn()
    seen.kills += 1
    while chance.random() < 0.2:
        # Killed again before it has come up, or just when it has.
        time.sleep(chance.uniform(0.0, 1.5))
        exporter.kill()
        seen.faults += _damage(exporter.ledger)
        exporter.spawn()
        seen.kills += 1
        seen.starting += 1
    exporter.wait_until_ready()


def _damage(ledger: Path) -> list[str]:
    """What SQLite finds wrong with the files as the kill left them, looked at in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("", "-wal"):
            if Path(f"{ledger}{part}").exists():
                shutil.copyfile(f"{ledger}{part}", f"{folder}/copy{part}")
        with closing(sqlite3.connect(f"{folder}/copy")) as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
    aside = [path.name for path in ledger.parent.iterdir() if ".damaged-" in path.name]
    return [f"ledger damaged: {text}" for text in found if text != "ok"] + [f"set aside: {name}" for name in aside]


def _check_answers(exporter: Exporter, jobs: list[Caller], seen: Campaign) -> None:
    """All that a caller was answered is in the ledger, once."""
    with closing(sqlite3.connect(f"file:{exporter.ledger}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        windows = {row["id"]: row for row in db.execute("SELECT * FROM window")}
        scores = {row["run"]: row["score"] for row in db.execute("SELECT run, score FROM score")}
    answered = [window for job in jobs for window in job.answered.windows.values()]
    seen.windows = len(answered)
    seen.faults += [f"window {window} was answered and is not there" for window in answered if window not in windows]
    if len(set(answered)) != len(answered) or set(windows) - set(answered):
        seen.faults.append(f"{len(answered)} transitions were answered, {len(windows)} windows are in the ledger")
    for job in jobs:
        told = job.answered
        seen.calls_refused += len(told.refused)
        seen.faults += told.refused
        seen.faults += [f"window {x} was ended and is open" for x in told.ended if windows[x]["state"] == "active"]
        seen.faults += [
            f"window {window} was answered {count} tokens and has {windows[window]['totals']}"
            for window, count in told.tokens.items()
            if json.loads(windows[window]["totals"])["tokens"].get("trained", 0) != count
        ]
        if told.scores.get(job.run_name) != scores.get(job.run_name):
            seen.faults.append(f"score of {job.run_name}: answered {told.scores}, kept {scores.get(job.run_name)}")


def _check_truth(scraper: Scraper, seen: Campaign, first: tuple[int, float]) -> None:
    """The devices' joules are what their counters gained since the first look."""
    time.sleep(SETTLED_SECONDS)
    last = _look_within_a_tick(scraper)
    devices = sum(name.startswith("joulemark_source_up") for name in scraper.look())
    seen.true_joules = (last[0] - first[0]) * TICK_SECONDS * WATTS * devices
    seen.missing_joules = seen.true_joules - (last[1] - first[1])
    if abs(seen.missing_joules) > ROUNDING_JOULES:
        seen.faults.append(f"{seen.missing_joules} J of {seen.true_joules} J are missing")


def _look_within_a_tick(scraper: Scraper) -> tuple[int, float]:
    """How often the counters had refreshed since the boot, and the devices' joules then."""
    while True:
        before, joules, after = _ticks(), device_joules(scraper.look()), _ticks()
        if before == after:
            return before, joules


def _ticks() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) // TICK_SECONDS)


def device_joules(samples: dict[str, float]) -> float:
    """All devices' joules together."""
    return sum(v for name, v in samples.items() if name.startswith("joulemark_device_energy_joules_total"))


if __name__ == "__main__":
    main()
