"""The configuration and the rules, judged by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

PROMETHEUS = Path(__file__).parents[2] / "prometheus"
DOCS = PROMETHEUS.parent / "docs"

RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))

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
        *(["check", "rules", "--lint=all", "--lint-fatal", f"rules/{path.name}"] for path in RULES),
        *(["test", "rules", f"tests/{path.name}"] for path in sorted((PROMETHEUS / "tests").glob("*.yml"))),
    ],
    ids=" ".join,
)
def test_promtool_is_content(argv: list[str]) -> None:
    done = subprocess.run(["promtool", *argv], cwd=PROMETHEUS, capture_output=True, text=True)
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
