"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from joulemark.metrics import FRONTIER_TABLE, METRICS, TABLE, reference_page
from joulemark.settings import TABLE as SETTINGS

ROOT = Path(__file__).parents[1]


def test_the_metric_reference_is_current() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference_page()


def test_every_metric_follows_the_naming_conventions() -> None:
    for metric in METRICS.values():
        assert metric.name.startswith("joulemark_")
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert metric.help.endswith(".")
    assert len(METRICS) == len(TABLE) + len(FRONTIER_TABLE)


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_pages_name_only_metrics_and_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    rules = "".join(path.read_text() for path in (ROOT / "prometheus" / "rules").glob("*.yml"))
    recorded = set(re.findall(r"record: (\S+)", rules))
    for name in set(
        re.findall(
            r"\b(?:[a-z_]+:)?joulemark_[a-z_]+(?:_total|_joules|_watts|_info|_ratio)\b(?:[a-z_]*:[a-z_]+)?", text
        )
    ):
        if ":" in name:
            assert name in recorded, name
        elif name not in METRICS:
            assert any(name in known for known in METRICS), name
    for target in re.findall(r"\]\((?!http|#)([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_readme_names_every_serve_setting_by_its_help_only() -> None:
    text = (ROOT / "README.md").read_text()
    known = {f"--{row.flag}" for row in SETTINGS}
    for flag in re.findall(r"--(?:web|state|source|sample|keep|cpu|replay|log|pue|carbon|price)[a-z.-]*", text):
        assert flag in known, flag
