"""The boards as files: current, whole, and as Grafana's dashboard-linter wants them, under its rules' names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from board_files import FOLDER, Asked, boards, defaults, panels, queries, substituted

pytest.importorskip("grafana_foundation_sdk", reason="the Grafana SDK needs Python 3.11")

import promql_parser
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from joulemark.metrics import METRICS
from joulemark_dashboards.__main__ import BOARDS, rendered, tidied
from joulemark_dashboards.style import STAGE_COLOURS

ROOT = Path(__file__).parents[2]
ALL = boards()
PANELS = [pytest.param(panel, id=f"{name}: {panel['title']}") for name, board in ALL.items() for panel in panels(board)]
QUERIES = [asked for name, board in ALL.items() for asked in queries(name, board)]
ASKED = [pytest.param(asked, id=" ".join(asked.key)) for asked in QUERIES]
# Exceptions to target-counter-agg-rule: counters whose total is the question, and why no reset spoils it.
TOTALS_ASKED_FOR = {
    "joulemark_energy_joules_total": "joules since the ledger began; kept on disk, so that it never falls",
    "joulemark_device_energy_joules_total": "the same of a device, under the share that nobody claimed",
    "joulemark_ledger_commit_failures_total": "whether this exporter ever failed to write, not how often of late",
    "joulemark_ledger_set_aside_total": "whether a damaged ledger was ever set aside by it",
}
UNITS = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)}
RULES = {
    rule["record"]
    for path in (ROOT / "prometheus" / "rules").glob("*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}
# What Prometheus says of itself, and of every scrape.
PROMETHEUS = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped", "prometheus_rule_group_last_duration_seconds",
    "prometheus_rule_evaluation_failures_total",
}  # fmt: skip
# Of no exporter: the frontier is a process of its own, and Prometheus scrapes itself under a job of its own.
NO_EXPORTER = {
    "joulemark_frontier_up", "joulemark_frontier_query_duration_seconds",
    "prometheus_rule_group_last_duration_seconds", "prometheus_rule_evaluation_failures_total",
}  # fmt: skip


def selectors(expr: str, values: dict[str, str]) -> list[Any]:
    """Every vector selector of a query."""
    return [selector for selector, _ in grown_selectors(expr, values)]


def grown_selectors(expr: str, values: dict[str, str]) -> list[tuple[Any, bool]]:
    """Every vector selector of a query, and whether the growth of its series is asked for."""
    found: list[tuple[Any, bool]] = []

    def walk(node: Any, grown: bool) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node, grown))
        if isinstance(node, promql_parser.Call):
            grown = grown or node.func.name in ("rate", "irate", "increase")
        for name in ("expr", "lhs", "rhs", "param", "vector_selector", "vs"):
            if (child := getattr(node, name, None)) is not None and not isinstance(child, str | int | float):
                walk(child, grown)
        for child in getattr(node, "args", None) or []:
            walk(child, grown)

    walk(promql_parser.parse(substituted(expr, values)), False)
    return found


def test_the_committed_json_is_current_and_deterministic() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(BOARDS)
    done = subprocess.run([sys.executable, "-m", "joulemark_dashboards", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(rendered(name) == rendered(name) for name in BOARDS)


@pytest.mark.parametrize("name", ALL)
def test_a_board_comes_back_from_the_sdk_as_it_went_in(name: str) -> None:
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(json.loads(json.dumps(ALL[name])))))
    assert tidied(again) == ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_ids_are_unique_and_panels_fill_the_grid(name: str) -> None:
    board = ALL[name]
    assert board["editable"] is False
    assert board["refresh"] == "5s"
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))
    covered: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in covered, (panel["title"], covered.get(cell))
            covered[cell] = panel["title"]
    height = 1 + max(y for _, y in covered)
    assert len(covered) == 24 * height, "every line of the grid is full"


@pytest.mark.parametrize("name", ALL)
def test_template_datasource_job_and_instance_rules(name: str) -> None:
    variables = {variable["name"]: variable for variable in ALL[name]["templating"]["list"]}
    source = variables["datasource"]
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")
    for required in ("job", "instance"):
        variable = variables[required]
        assert variable["datasource"]["uid"] == "${datasource}"
        assert (variable["type"], variable["label"]) == ("query", required.capitalize())
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
    for variable in variables.values():
        if variable["type"] == "query":  # template-on-time-change-reload-rule
            assert variable["refresh"] == 2
    if name != "meter_health":
        assert {"run", "pipeline", "student", "dataset"} <= set(variables)
        assert variables["run"]["multi"] is (name != "run"), "the board Run is of one run"
    assert ("accounting" in variables) is (name in ("pipelines", "worth_it"))


@pytest.mark.parametrize("panel", PANELS)
def test_panel_title_description_units_and_no_targets_rules(panel: dict[str, Any]) -> None:
    assert panel["title"].endswith("?"), "one question"
    assert len(panel["description"]) > 60, "what it shows, how it is computed, what it does not mean"
    given = [panel["fieldConfig"]["defaults"]["unit"]]
    given += [p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"]
    assert set(given) <= UNITS
    assert len(panel["fieldConfig"]["defaults"]["noValue"]) > 8, "what would fill it"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}  # panel-datasource-rule
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("asked", ASKED)
def test_target_validity_metric_and_rate_interval_rules(asked: Asked) -> None:
    found = selectors(asked.expr, defaults(ALL[asked.board]))  # target-promql-rule: it parses
    assert found, "it asks for something"
    for selector in found:
        assert selector.name in RULES | set(METRICS) | PROMETHEUS, selector.name
    for window in re.findall(r"(?:rate|increase|irate)\([^\[]+\[([^\]]+)\]", asked.expr):
        assert window in ("$__rate_interval", "$__range"), "target-rate-interval-rule"
    assert not re.search(r"rate\(sum|increase\(sum", asked.expr)


def test_target_counter_agg_rule() -> None:
    """Of a counter its growth is asked for; those whose total is the question are named with the reason."""
    raw = {
        selector.name
        for asked in QUERIES
        for selector, grown in grown_selectors(asked.expr, defaults(ALL[asked.board]))
        if selector.name.endswith("_total") and not grown
    }
    assert raw == set(TOTALS_ASKED_FOR)
    assert all(METRICS[name].type == "counter" for name in raw)


@pytest.mark.parametrize("asked", ASKED)
def test_target_job_and_instance_rules(asked: Asked) -> None:
    """Recorded series are of a ledger, whoever scraped it, and so know neither job nor instance."""
    if asked.place.startswith("variable"):
        return
    for found in selectors(asked.expr, {**defaults(ALL[asked.board]), "job": "$job", "instance": "$instance"}):
        matchers = {(m.name, m.value) for m in found.matchers.matchers}
        of_device = found.name == "device:joulemark_energy_residual_joules:abs"
        if (":" not in found.name or of_device) and found.name not in NO_EXPORTER:
            assert {("job", "$job"), ("instance", "$instance")} <= matchers, found.name


def test_a_stage_has_one_colour_on_every_board() -> None:
    found: dict[str, set[str]] = {stage: set() for stage in STAGE_COLOURS}
    for board in ALL.values():
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                stage = re.fullmatch(r"/\^(\w+)\( \.\*\)\?\$/", str(override["matcher"]["options"]))
                if stage:
                    found[stage[1]] |= {p["value"]["fixedColor"] for p in override["properties"]}
    assert found == {stage: {colour} for stage, colour in STAGE_COLOURS.items()}


def test_boards_lead_to_each_other_keeping_run_and_time() -> None:
    known = {board["uid"] for board in ALL.values()}
    assert len(known) == len(ALL)
    for board in ALL.values():
        assert {link["url"] for link in board["links"]} == {f"/d/{uid}" for uid in known - {board["uid"]}}
        assert all(link["includeVars"] and link["keepTime"] for link in board["links"])
        assert all("placement" not in link for link in board["links"])
    text = json.dumps(ALL)
    for address in re.findall(r"/d/([\w-]+)\?([^\"]*)", text):
        assert address[0] in known
        assert "var-run=${__data.fields.run}" in address[1]
        assert "${__url_time_range}" in address[1]


def test_what_is_not_measured_is_marked_wherever_origins_are_listed() -> None:
    for panel in (panel for board in ALL.values() for panel in panels(board) if panel["type"] == "table"):
        shown = json.dumps(panel.get("transformations", []))
        if '"origin"' in shown:
            (mapping,) = (
                p["value"][0]["options"]
                for o in panel["fieldConfig"]["overrides"]
                if o["matcher"]["options"] == "origin"
                for p in o["properties"]
                if p["id"] == "mappings"
            )
            assert (mapping["modelled"]["text"], mapping["published"]["text"]) == (
                "MODELLED",
                "PUBLISHED",
            )


def test_provisioning_names_the_data_source_and_the_folder() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["uid"]) == ("prometheus", "joulemark-prometheus")
    (provider,) = yaml.safe_load((folder / "dashboards" / "joulemark.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)


def test_grafana_s_own_alerts_are_off_and_ask_what_prometheus_alerts_ask() -> None:
    folder = ROOT / "grafana" / "provisioning" / "alerting"
    (sample,) = folder.iterdir()
    assert sample.suffix == ".sample", "Grafana reads .yml and .yaml"
    alerts = {
        rule["alert"]: rule
        for path in (ROOT / "prometheus" / "alerts").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    }
    (group,) = yaml.safe_load(sample.read_text())["groups"]
    for rule in group["rules"]:
        (query,) = rule["data"]
        assert (rule["condition"], query["datasourceUid"]) == (query["refId"], "joulemark-prometheus")
        expr = query["model"]["expr"]
        assert "bool" in expr, "fires where it is not 0, and a comparison alone keeps the value"
        there = alerts[rule["title"]]
        assert {s.name for s in selectors(expr, {})} == {s.name for s in selectors(there["expr"], {})}
        assert (rule["for"], rule["labels"]) == (there["for"], there["labels"])
