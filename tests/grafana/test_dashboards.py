"""The boards: current, complete, and asking only for what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from joulemark.metrics import METRICS
from joulemark_dashboards import queries

pytest.importorskip("grafana_foundation_sdk", reason="the Grafana SDK needs Python 3.11")

from joulemark_dashboards.__main__ import BOARDS, FOLDER, rendered

ROOT = Path(__file__).parents[2]


def boards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def test_the_committed_json_is_current_and_deterministic() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(BOARDS)
    done = subprocess.run([sys.executable, "-m", "joulemark_dashboards", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(rendered(name) == rendered(name) for name in BOARDS)


@pytest.mark.parametrize("board", boards(), ids=lambda board: board["uid"])
def test_every_panel_asks_one_question_and_explains_itself(board: dict[str, Any]) -> None:
    assert board["editable"] is False
    numbers = [panel["id"] for panel in board["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for panel in board["panels"]:
        assert panel["title"].endswith("?")
        assert len(panel["description"]) > 40
        assert panel["fieldConfig"]["defaults"]["unit"] in ("joule", "watt", "watth", "percentunit")
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert panel["datasource"]["uid"] == "${datasource}"
        position = panel["gridPos"]
        assert position["x"] + position["w"] <= 24
    taken = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(taken)) == len(taken)
    assert {v["name"] for v in board["templating"]["list"]} == {"datasource", "job", "instance", "run"}


def test_queries_ask_only_for_metrics_and_rules_that_exist() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "prometheus" / "rules").glob("*.yml"))
    recorded = set(re.findall(r"record: (\S+)", rules))
    for query in (*queries.ALL, queries.RUNS, queries.JOBS, queries.INSTANCES):
        for name in re.findall(r"[a-z_]+:joulemark_[a-z_:]+|joulemark_[a-z_]+", query):
            assert name in recorded or name in METRICS, name


def test_provisioning_names_the_data_source_and_the_folder() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["uid"]) == ("prometheus", "joulemark-prometheus")
    (provider,) = yaml.safe_load((folder / "dashboards" / "joulemark.yml").read_text())["providers"]
    assert provider["type"] == "file"
