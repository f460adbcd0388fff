"""The configuration and the rules, judged by Prometheus' own tool."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from joulemark.metrics import METRICS

PROMETHEUS = Path(__file__).parents[2] / "prometheus"

RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
ALERTS = sorted((PROMETHEUS / "alerts").glob("*.yml"))
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DOCS = PROMETHEUS.parent / "docs"
RUNBOOK = DOCS / "runbook.md"

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(
        shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
    ),
]


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "config", "prometheus.yml"],
        *(["check", "rules", "--lint=all", "--lint-fatal", f"{p.parent.name}/{p.name}"] for p in (*RULES, *ALERTS)),
        *(["test", "rules", f"tests/{path.name}"] for path in UNIT_TESTS),
    ],
    ids=" ".join,
)
def test_promtool_is_content(argv: list[str]) -> None:
    done = subprocess.run(["promtool", *argv], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# A month of evaluations takes long, and asks for nothing that the test of the same rules over hours does not.
LONG = "memory_month_test"


def left_open(text: str) -> str:
    """Every range a millisecond shorter: what Prometheus 2 then takes in is what 3 takes in of the full range."""

    def shorter(found: re.Match[str]) -> str:
        return f"[{int(found[1]) * MILLISECONDS[found[2]] - 1}ms{found[3] or ''}]"

    return re.sub(r"\[(\d+)(ms|s|m|h|d)(:\w+)?\]", shorter, text)


@pytest.mark.parametrize("path", [path for path in UNIT_TESTS if path.stem != LONG], ids=lambda path: path.stem)
def test_no_figure_hangs_on_the_left_end_of_a_range(path: Path, tmp_path: Path) -> None:
    for source in (*RULES, *ALERTS, path):
        copy = tmp_path / source.parent.name / source.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(left_open(source.read_text()))
    done = subprocess.run(
        ["promtool", "test", "rules", f"tests/{path.name}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_target_file_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    targets = tmp_path / "prometheus" / "targets"
    shutil.copy(targets / "example.yml.sample", targets / "kd-1b.yml")
    argv = ["promtool", "check", "config", "prometheus.yml"]
    done = subprocess.run(argv, cwd=tmp_path / "prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (targets / "kd-1b.yml").write_text("- targets: nowhere\n")
    broken = subprocess.run(argv, cwd=tmp_path / "prometheus", capture_output=True, text=True)
    assert broken.returncode != 0


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_rule_says_what_it_gives(path: Path) -> None:
    lines = path.read_text().splitlines()
    bare = [line for before, line in pairwise(lines) if "- record:" in line and "#" not in before]
    assert bare == []


def test_rule_groups_and_rules_have_names_of_their_own() -> None:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names)), "Prometheus tells groups apart by file, a reader does not"
    rules = [(rule["record"], str(rule.get("labels"))) for group in groups for rule in group["rules"]]
    assert len(rules) == len(set(rules))


def alerts() -> list[dict[str, Any]]:
    groups = [group for path in ALERTS for group in yaml.safe_load(path.read_text())["groups"]]
    return [alert for group in groups for alert in group["rules"]]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description", "runbook_url"} <= set(alert["annotations"])
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
    _, _, page = RUNBOOK.read_text().partition(f"\n## {alert['alert']}\n")
    section = page.partition("\n## ")[0]
    assert all(f"**{word}.**" in section for word in ("Means", "Look", "Do")), "no page in the runbook"


def test_the_runbook_has_no_page_without_an_alert() -> None:
    pages = set(re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert pages == {alert["alert"] for alert in alerts()}


def test_every_alert_is_tested_firing_and_silent() -> None:
    tests = yaml.safe_load((PROMETHEUS / "tests" / "alerts_test.yml").read_text())["tests"]
    claims = [claim for test in tests for claim in test["promql_expr_test"]]
    for alert in alerts():
        own = [claim for claim in claims if f'alertname="{alert["alert"]}"' in claim["expr"]]
        assert any(claim["exp_samples"] for claim in own), f"{alert['alert']} never fires"
        assert any(not claim["exp_samples"] for claim in own), f"{alert['alert']} is never silent"


def test_every_alert_looks_at_metrics_and_rules_that_exist() -> None:
    recorded = {name for path in RULES for name in re.findall(r"- record: (\S+)", path.read_text())}
    for alert in alerts():
        for name in re.findall(r"[a-z_]+:joulemark_[a-z_:]+|joulemark_[a-z_]+", alert["expr"]):
            assert name in recorded or name in METRICS, name


@pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is not installed: apt-get install prometheus-alertmanager"
)
def test_amtool_is_content() -> None:
    argv = ["amtool", "check-config", "alertmanager.yml"]
    done = subprocess.run(argv, cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_queries_on_other_exporters_series_are_the_tested_ones() -> None:
    page = (RUNBOOK.parent / "existing-jobs.md").read_text()
    tests = yaml.safe_load((PROMETHEUS / "tests" / "existing_jobs_test.yml").read_text())["tests"]
    tested = {" ".join(claim["expr"].split()) for test in tests for claim in test["promql_expr_test"]}
    shown = {" ".join(query.split()) for query in re.findall(r"```promql\n(.*?)```", page, re.DOTALL)}
    assert len(shown) == 8
    assert shown <= tested


def test_no_rule_is_kept_that_nothing_asks_for() -> None:
    """Every name is read by another rule, named in a page for users, or in a test."""
    texts = [path.read_text() for path in (*RULES, *UNIT_TESTS, *DOCS.glob("*.md"))]
    everything = "\n".join(texts)
    for name in {name for path in RULES for name in re.findall(r"- record: (\S+)", path.read_text())}:
        assert len(re.findall(rf"(?<![\w:]){name}(?![\w:])", everything)) > 1, name


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_unit_tests_evaluate_groups_in_a_known_order(path: Path) -> None:
    """Promtool takes groups that are not named in any order, and figures follow from each other."""
    test = yaml.safe_load(path.read_text())
    if "../rules/*.yml" in test["rule_files"]:
        groups = {group["name"] for rules in RULES for group in yaml.safe_load(rules.read_text())["groups"]}
        assert set(test["group_eval_order"]) == groups
