"""The real process is killed at random instants under load; ledger and a real Prometheus say that nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from benchmarks.reliability.kills import campaign

KILLS = 10


@pytest.mark.prometheus
def test_nothing_is_lost_and_no_counter_goes_down_when_the_exporter_is_killed(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    seen = campaign(tmp_path, KILLS, callers=3, seed=7)
    assert seen.faults == []
    assert seen.kills >= KILLS
    # Something was going on while it was killed, or nothing would be shown.
    assert seen.windows > KILLS
    assert seen.scrapes > KILLS
    assert seen.true_joules > 1000
