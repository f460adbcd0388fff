"""The terminal table and the files for other programs."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st
from report.samples import HOSTILE, accounts, demo, published, record, stage
from rich.console import Console

from joulemark.report import Account
from joulemark.report.table import print_table
from joulemark.report.tabular import to_csv, to_json, to_markdown

SEEN = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}


def printed(found: list[Account], *, colour: bool = False) -> str:
    out = io.StringIO()
    print_table(
        found, Console(file=out, width=180, force_terminal=colour, color_system="truecolor" if colour else None)
    )
    return out.getvalue()


def test_the_table_shows_joules_shares_tokens_and_agreement() -> None:
    text = printed(accounts({"kd-1": demo()["kd-1"]}, SEEN))
    (line,) = [line for line in text.splitlines() if "logit_caching" in line and "│" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [
        "kd-1", "teacher", "logit_caching", "40.0", "297.0", "300.0", "99.00", "0.2", "33.3", "24,576", "0.0122",
    ]  # fmt: skip
    (total,) = [line for line in text.splitlines() if "total" in line and "│" in line]
    assert "900.0" in total
    assert "0.03" in total, "joules per trained token"


def test_without_prometheus_there_is_no_empty_column() -> None:
    text = printed(accounts(demo()))
    assert "PromQL" not in text
    assert "origin" not in text
    assert "reuses logit_cache" in text


def test_a_stage_that_prometheus_has_not_seen_says_so() -> None:
    assert "not seen" in printed(accounts(demo(), SEEN))


def test_what_was_not_measured_is_marked_loudly_in_words_and_colour() -> None:
    modelled = accounts({"a": record("a", [stage("eval", 1.0)], origin="modelled"), "kd-1b": published("kd-1b")})
    text = printed(modelled)
    assert text.count("MODELLED") == 2, "above the table and below it"
    assert "PUBLISHED" in text
    assert [line.split("│")[-2].strip() for line in text.splitlines() if "eval" in line] == ["modelled", "published"]
    assert "\x1b[1;30;43m" in printed(modelled, colour=True)
    assert "MODELLED" not in printed(accounts(demo()))


def test_names_are_shown_as_they_are() -> None:
    hostile = accounts({HOSTILE: record(HOSTILE, [stage("eval", 1.0)])})
    assert HOSTILE in printed(hostile)
    markdown = to_markdown(hostile)
    assert "<script>" not in markdown
    row = markdown.splitlines()[2]
    assert row.replace("\\|", "").count("|") == 10
    assert next(csv.DictReader(io.StringIO(to_csv(hostile))))["run"] == HOSTILE


@given(st.floats(0, 1e15, allow_nan=False))
def test_files_keep_every_digit(joules: float) -> None:
    found = accounts({"a": record("a", [stage("eval", joules)])}, {("a", "eval", ""): joules})
    row = next(csv.DictReader(io.StringIO(to_csv(found))))
    assert float(row["joules"]) == float(row["prometheus_joules"]) == joules
    assert float(row["agreement_percent"]) == 100
    assert row["joules_per_token"] == ""
    (account,) = json.loads(to_json(found))
    assert account["total"]["joules"] == joules


def test_json_holds_what_follows_from_the_rows() -> None:
    account = json.loads(to_json(accounts(demo(), SEEN)))[1]
    assert account["teacher_joules"] == 300.0
    assert account["teacher_share"] == 300 / 900
    assert account["rows"][0]["agreement_percent"] == 99.0
    assert account["origin"] == "measured"


def test_markdown_has_totals_bounds_and_footnotes() -> None:
    text = to_markdown(accounts(demo(), SEEN))
    assert "| kd-1 | total |  | 80.0 | 900.0 ± 0.5 | 100.0 % | 30,000 | 0.03 | measured | 897.0 | 99.67 % |" in text
    assert "not seen" in text
    assert "- kd-2: reuses" in text
