"""Which runs are on /metrics: the newest, the unseen, and never more than memory is bounded to."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counters import gone_down
from exporter_process import Exporter
from meter_rig import Rig

from joulemark.disk import journal
from joulemark.errors import LimitReached, RunInUse, UnknownName
from joulemark.ledger import kept_runs, ledger
from joulemark.ledger.kept_runs import FACTS_PER_RUN, STAGES_PER_RUN, UNSEEN_RUNS
from joulemark.ledger.ledger import OPEN_WINDOWS

RETIRED = 'joulemark_energy_joules_total{device="gpu0",phase="%s",run="",stage="retired"}'


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, keep_runs=2)
    yield rig
    assert rig.residual() < 1e-6
    rig.restart(keep_runs=2)
    assert rig.residual() < 1e-6
    rig.crash()


def finish(rig: Rig, name: str, seconds: float = 1.0) -> None:
    window = rig.begin(name, "student")
    rig.wait(seconds)
    rig.meter.end(window, {"trained": 10})
    rig.wait(0.5)


def shown(rig: Rig) -> list[str]:
    return sorted({view.key.run for view in rig.meter.snapshot().series} - {""})


def test_a_finished_run_leaves_only_after_a_scrape_has_seen_its_final_value(rig: Rig) -> None:
    for name in ("one", "two", "three", "four"):
        finish(rig, name)
    assert len(shown(rig)) == 4, "nobody has scraped"
    rig.scrape()
    # Seen, but not its last words.
    rig.meter.declare("one", {"teacher": "T"})
    rig.meter.declare("three", {"teacher": "T"})
    rig.wait(1)
    assert shown(rig) == ["one", "three"]
    finish(rig, "five")
    finish(rig, "six")
    assert shown(rig) == ["five", "one", "six", "three"]
    rig.scrape()
    rig.wait(1)
    assert shown(rig) == ["five", "six"]
    assert rig.samples()["joulemark_runs_unseen_total"] == 0


def test_what_no_scrape_has_seen_is_still_there_after_a_kill(rig: Rig) -> None:
    for name in ("one", "two", "three", "four"):
        finish(rig, name)
    before = rig.samples()
    rig.restart(keep_runs=2)
    after = rig.samples()
    assert gone_down(before, after) == []
    assert len(shown(rig)) == 4
    rig.scrape()
    rig.wait(1)
    assert len(shown(rig)) == 2


def test_when_nobody_scrapes_the_oldest_leave_and_are_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_runs, "UNSEEN_RUNS", 3)
    for number in range(9):
        finish(rig, f"run-{number}", 0.2)
    assert shown(rig) == ["run-4", "run-5", "run-6", "run-7", "run-8"]
    assert rig.samples()["joulemark_runs_unseen_total"] == 4
    rig.restart(keep_runs=2)
    assert rig.samples()["joulemark_runs_unseen_total"] == 4


def test_no_counter_goes_down_when_a_run_comes_back(rig: Rig) -> None:
    for name in ("one", "two", "three", "four"):
        finish(rig, name)
        rig.scrape()
        rig.wait(1)
    seen = rig.samples()
    assert seen[RETIRED % ""] > 0
    window = rig.begin("one", "student")
    back = rig.samples()
    assert gone_down(seen, back) == []
    assert RETIRED % "" not in back, "it has less now, so it is another series"
    assert 0 < back[RETIRED % "1"] < seen[RETIRED % ""]
    rig.wait(1)
    rig.meter.end(window, {})
    rig.restart(keep_runs=2)
    assert gone_down(back, rig.samples()) == []
    before = rig.samples()
    rig.restart(keep_runs=20)
    assert gone_down(before, rig.samples()) == []
    assert shown(rig) == ["four", "one", "three", "two"]


def test_a_pruned_run_leaves_its_joules_with_the_device(rig: Rig) -> None:
    for name in ("one", "two", "three"):
        finish(rig, name)
        rig.scrape()
        rig.wait(1)
    before = rig.samples()
    assert shown(rig) == ["three", "two"]
    for name in ("one", "three"):
        rig.meter.prune(name)
    after = rig.samples()
    assert gone_down(before, after) == []
    assert [run["run"] for run in rig.meter.runs()] == ["two"]
    with pytest.raises(UnknownName):
        rig.meter.run_record("one")
    with pytest.raises(UnknownName):
        rig.meter.prune("one")
    rig.restart(keep_runs=2)
    assert gone_down(after, rig.samples()) == []
    assert rig.residual() < 1e-6
    finish(rig, "one")
    assert rig.meter.run_record("one")["joules"] == pytest.approx(400, rel=0.05), "a new run of an old name"


def test_a_run_with_an_open_window_is_not_pruned(rig: Rig) -> None:
    rig.begin("one", "student")
    with pytest.raises(RunInUse, match="has a window that is open") as refused:
        rig.meter.prune("one")
    assert "end it first" in refused.value.remedy
    assert rig.meter.runs()


def test_ten_thousand_names_grow_neither_the_page_nor_memory(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is memory that is looked at: the disk is waited for once in a hundred names.
    wait = journal.Journal.wait
    monkeypatch.setattr(journal.Journal, "wait", lambda *_: True)
    for number in range(10_000):
        rig.meter.end(rig.begin(f"name-{number}", f"stage{number}"), {"trained": 1})
        if number % 100 == 99:
            rig.wait(0.3)
            wait(rig.meter._store.journal, patience=60)
        if number == 1999:
            page, memory = series_of_page(rig), resident_bytes()
    assert series_of_page(rig) <= page + 2, "and what has left is one series for each device"
    # A run takes some thousand bytes: what 8,000 would take must not be there.
    assert resident_bytes() - memory < 8000 * 1000
    rig.wait(3)
    assert len(shown(rig)) == 2 + UNSEEN_RUNS
    assert len(rig.meter.runs(limit=20_000)) == 10_000


def series_of_page(rig: Rig) -> int:
    """How many there are but for the comparison of estimators, which comes after ten seconds whatever the runs."""
    return sum(not name.startswith("joulemark_estimator_") for name in rig.samples())


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_names_sent_to_a_real_exporter_leave_its_page_once_scraped(make_exporter: Callable[..., Exporter]) -> None:
    exporter = make_exporter("--source", "replay", "--keep-runs", "2")
    for number in range(40):
        window = exporter.put_stage(f"name-{number}", "student")["id"]
        exporter.http.delete(f"/api/v1/stage/{window}")
    deadline = time.monotonic() + 20
    while len(runs_on(exporter)) > 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert len(exporter.http.get("/api/v1/runs").json()) == 40


def runs_on(exporter: Exporter) -> set[str]:
    return {name for name in exporter.metrics() if name.startswith("joulemark_run_info")}


@pytest.mark.parametrize("share", [True, False], ids=["shared", "nested"])
def test_open_windows_are_bounded(rig: Rig, share: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "OPEN_WINDOWS", 20)
    assert OPEN_WINDOWS > 100
    for number in range(20):
        rig.begin(f"run-{number}" if share else "one", "student", share=share, nest=not share)
    before = rig.samples()
    with pytest.raises(LimitReached, match="20 windows are open") as refused:
        rig.begin("another" if share else "one", "student", share=share, nest=not share)
    assert "ttl_seconds" in refused.value.remedy
    assert rig.samples().keys() == before.keys()


def test_stages_of_one_run_are_bounded(rig: Rig) -> None:
    for number in range(STAGES_PER_RUN):
        rig.begin("one", "student", phase=f"step-{number}")
    with pytest.raises(LimitReached, match="200 stages and phases") as refused:
        rig.begin("one", "student", phase="another")
    assert "new run" in refused.value.remedy
    rig.begin("one", "student", phase="step-7")
    # Also when the run has left memory, and nothing of what is refused reaches the ledger.
    rig.meter.end(str(rig.meter.active()[0]["id"]), {})
    for name in ("two", "three", "four"):
        finish(rig, name)
    rig.scrape()
    rig.wait(1)
    before = rig.meter.runs()
    with pytest.raises(LimitReached):
        rig.begin("one", "student", phase="another")
    assert rig.meter.runs() == before


def test_scores_artifacts_and_idle_watts_of_one_run_are_bounded(rig: Rig) -> None:
    for number in range(FACTS_PER_RUN):
        rig.meter.score("one", f"b{number}", 0.5, None, None)
        rig.meter.artifact("one", f"a{number}", "cache", "produced")
    with pytest.raises(LimitReached):
        rig.meter.score("one", "another", 0.5, None, None)
    with pytest.raises(LimitReached):
        rig.meter.artifact("one", "another", "cache", "produced")
    rig.meter.score("one", "b7", 0.75, None, None)
    record: Any = rig.meter.run_record("one")
    assert len(record["scores"]) == FACTS_PER_RUN
    assert {score["score"] for score in record["scores"]} == {0.5, 0.75}
    with pytest.raises(LimitReached):
        rig.meter.declare("one", {"idle_watts": {f"gpu{number}": 1.0 for number in range(65)}})
