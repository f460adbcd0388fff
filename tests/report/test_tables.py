"""The tables, on a terminal and in files for other programs and papers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest
from accounting.published import published_records
from hypothesis import given
from hypothesis import strategies as st
from report.samples import FACTORS, HOSTILE, demo, everything, published, record, report_of, seeds, stage
from rich.console import Console

from joulemark.report import Report, as_text, make_report, print_report
from joulemark.report.as_json import SCHEMA_VERSION
from joulemark.report.csv_files import by_run
from joulemark.report.tables import Table, tables

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report_schema.json").read_text())
SEEN = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Report:
    records = published_records(tmp_path_factory.mktemp("ledger"))
    return make_report(sorted(records, key=lambda name: records[name].created_at or 0), records)


def table(report: Report, key: str) -> Table:
    (found,) = [one for one in tables(report) if one.key == key]
    return found


def column(made: Table, name: str) -> list[str]:
    return [row[made.columns.index(name)] for row in made.rows]


def printed(report: Report, *, colour: bool = False) -> str:
    out = io.StringIO()
    terminal = Console(file=out, width=200, force_terminal=colour, color_system="truecolor" if colour else None)
    print_report(report, terminal)
    return out.getvalue()


# -- the paper's tables ------------------------------------------------------------------------------------


def test_end_to_end_reads_as_printed(paper: Report) -> None:
    found = table(paper, "end_to_end")
    assert column(found, "") == [
        "sft OLMo-2-1B", "sft OLMo-2-7B", "sft OLMo-2-13B", "kd OLMo-2-1B", "kd OLMo-2-13B",
        "synthetic_sft OLMo-2-1B", "synthetic_sft OLMo-2-13B",
    ]  # fmt: skip
    assert column(found, "as run (kWh)") == ["7.00", "19.50", "34.60", "16.90", "42.50", "16.65", "40.70"]
    assert column(found, "J/token") == ["0.840", "2.34", "4.15", "2.03", "5.10", "", "4.88"]
    assert column(found, "Q") == ["0.69", "0.90", "0.99", "0.70", "0.82", "", "0.85"]
    assert column(found, "frontier") == ["yes", "yes", "yes", "yes", "dominated", "", "dominated"]
    assert column(found, "amortized (kWh)")[3] == "11.40"
    assert set(column(found, "origin")) == {"published"}


def test_by_stage_reads_as_printed(paper: Report) -> None:
    found = table(paper, "by_stage")
    assert found.columns[:7] == ("", "runs", "data", "teacher", "student", "eval", "end_to_end")
    assert found.rows[3][2:7] == ("0.37", "11.00", "5.20", "0.33", "–")
    assert found.rows[1][2:7] == ("–", "–", "–", "–", "19.50")


def test_break_even_reads_as_printed(paper: Report) -> None:
    found = table(paper, "break_even")
    assert column(found, "N*") == ["no teacher", "no teacher", "no teacher", "10.00", "3.55", "11.16", "2.36"]
    assert set(column(found, "T*")) == {"no baseline", "no student", "no serving"}
    for reason in ("No teacher: ", "No serving: "):
        assert reason in found.caption


# -- repeats and sweeps ------------------------------------------------------------------------------------


def test_repeats_are_one_row_with_mean_and_spread() -> None:
    found = table(report_of(seeds()), "end_to_end")
    assert column(found, "runs") == ["2", "3", "1", "1"]
    assert column(found, "as run (J)")[:2] == ["700.0 ± 14.1", "900.0 ± 10.0"]
    assert column(found, "Q")[1] == "0.575 ± 0.025"
    assert "single run (runs = 1: no spread)" in found.caption
    assert "sample standard deviation" in found.caption


def test_every_stage_has_its_bound_and_repeats_their_spread() -> None:
    split = [stage("student", 400.0, phase="a", uncertainty_joules=3.0), stage("student", 200.0, phase="b")]
    alone = {"one": record("one", [stage("teacher", 300.0), *split], pipeline="kd", student="s")}
    found = table(report_of(alone), "by_stage")
    assert (column(found, "teacher"), column(found, "student")) == (["300.0 ± 0.2"], ["600.0 ± 3.2"])
    worth = table(report_of(alone), "break_even")
    assert (column(worth, "teacher (J)"), column(worth, "student (J)")) == (["300.0 ± 0.2"], ["600.0 ± 3.2"])
    for text in (as_text(report_of(alone), "latex"), as_text(report_of(alone), "md")):
        assert re.search(r"600\.0 (±|\$\\pm\$) 3\.2", text)
    assert column(table(report_of(seeds()), "by_stage"), "student")[1].count("±") == 1


def test_sweeps_show_what_was_varied() -> None:
    found = table(report_of(seeds()), "sweeps")
    assert column(found, "temperature") == ["", "", "2", "4"]
    assert not [one for one in tables(report_of(demo())) if one.key == "sweeps"]


def test_cells_that_share_a_name_are_told_apart() -> None:
    assert len(set(column(table(report_of(seeds()), "end_to_end"), ""))) == 4
    same = {name: record(name, [stage("eval", 1.0)], pipeline="kd", student="s", dataset=name) for name in ("a", "b")}
    assert column(table(report_of(same), "end_to_end"), "") == ["kd s on a", "kd s on b"]


def test_factors_give_a_table_of_their_own_and_change_no_joule() -> None:
    with_factors, without = report_of(demo(), factors=FACTORS), report_of(demo())
    found = table(with_factors, "footprint")
    assert "PUE 1.2; 56 g CO2e per kWh, FR (a table, 2024); 0.21 EUR per kWh" in found.caption
    assert column(found, "one-off g CO2e")[1] == f"{900 / 3.6e6 * 1.2 * 56:.4f}"
    assert table(with_factors, "end_to_end") == table(without, "end_to_end")
    assert not [one for one in tables(without) if one.key == "footprint"]


# -- terminal ----------------------------------------------------------------------------------------------


def test_the_table_shows_joules_shares_tokens_and_agreement() -> None:
    text = printed(report_of({"kd-1": demo()["kd-1"]}, SEEN))
    (line,) = [line for line in text.splitlines() if "logit_caching" in line and "│" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [
        "kd-1", "teacher", "logit_caching", "40.0", "297.0", "300.0", "99.00", "0.2", "33.3", "24,576", "0.0122",
    ]  # fmt: skip
    (total,) = [line for line in text.splitlines() if "total" in line and "│" in line]
    assert "900.0" in total
    assert "0.03" in total, "joules per trained token"


def test_without_prometheus_there_is_no_empty_column() -> None:
    text = printed(report_of(demo()))
    assert "PromQL" not in text
    assert "origin" not in text
    assert "Was it worth it?" in text


def test_a_stage_that_prometheus_has_not_seen_says_so() -> None:
    assert "not seen" in printed(report_of(demo(), SEEN))


def test_what_was_not_measured_is_marked_loudly_in_words_and_colour() -> None:
    modelled = report_of({"a": record("a", [stage("eval", 1.0)], origin="modelled"), "kd-1b": published("kd-1b")})
    text = printed(modelled)
    assert text.count("MODELLED") == 2, "above the table and below it"
    assert "PUBLISHED" in text
    runs = text.split("End to end")[0]
    assert [line.split("│")[-2].strip() for line in runs.splitlines() if "eval" in line] == ["modelled", "published"]
    assert "\x1b[1;30;43m" in printed(modelled, colour=True)
    assert "MODELLED" not in printed(report_of(demo()))


def test_names_are_shown_as_they_are() -> None:
    hostile = report_of({HOSTILE: record(HOSTILE, [stage("eval", 1.0)], pipeline=HOSTILE, student=HOSTILE)})
    assert HOSTILE in printed(hostile)
    markdown = as_text(hostile, "md")
    assert "<script>" not in markdown
    row = next(line for line in markdown.splitlines() if "eval" in line)
    assert row.replace("\\|", "").count("|") == 10
    assert next(csv.DictReader(io.StringIO(as_text(hostile, "csv"))))["run"] == HOSTILE


# -- files -------------------------------------------------------------------------------------------------


@given(st.floats(0, 1e15, allow_nan=False))
def test_files_keep_every_digit(joules: float) -> None:
    found = report_of({"a": record("a", [stage("eval", joules)])}, {("a", "eval", ""): joules})
    row = next(csv.DictReader(io.StringIO(as_text(found, "csv"))))
    assert float(row["joules"]) == float(row["prometheus_joules"]) == joules
    assert float(row["agreement_percent"]) == 100
    assert row["joules_per_token"] == ""
    (run,) = json.loads(as_text(found, "json"))["runs"]
    assert run["total"]["joules"] == joules


def test_the_second_csv_has_a_line_for_each_run(paper: Report) -> None:
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(by_run(paper)))}
    kd = rows["paper-kd-1b"]
    assert float(kd["breakeven_reuses"]) == pytest.approx(10.0, rel=1e-9)
    assert (kd["origin"], kd["pareto_optimal_one_off"], kd["breakeven_tokens_reason"]) == (
        "published",
        "1",
        "no_serving",
    )
    assert (rows["paper-sft-7b"]["seconds"], rows["paper-sft-7b"]["breakeven_reuses"]) == ("", "")
    assert by_run(report_of({})) == "run\n"


@pytest.mark.parametrize("made", [everything, lambda: report_of({}), lambda: report_of(demo(), SEEN)])
def test_json_is_as_its_schema_says(made: object) -> None:
    assert callable(made)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(as_text(made(), "json")), SCHEMA)


def test_the_papers_json_is_as_its_schema_says(paper: Report) -> None:
    data = json.loads(as_text(paper, "json"))
    jsonschema.validate(data, SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == data["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize(
    "path", [("runs", 0, "total", "joules"), ("cells", 0, "runs"), ("power", 0, "times"), ("methods",)]
)
def test_the_schema_misses_nothing_that_is_gone_or_new(path: tuple[str | int, ...]) -> None:
    data = json.loads(as_text(everything(), "json"))
    place = data
    for step in path[:-1]:
        place = place[step]
    kept = place.pop(path[-1])
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        jsonschema.validate(data, SCHEMA)
    place[path[-1]], place["unheard_of"] = kept, 1
    with pytest.raises(jsonschema.ValidationError, match="unheard_of"):
        jsonschema.validate(data, SCHEMA)


def test_json_holds_all_that_follows() -> None:
    data = json.loads(as_text(everything(), "json"))
    kd = next(run for run in data["runs"] if run["run"] == "kd-0")
    assert kd["energy_joules"] == {"as_run": 890.0, "one_off": 890.0, "amortized": 890.0}
    assert kd["breakeven_reuses"] == {"value": pytest.approx(300 / 110), "reason": None}
    assert kd["co2e_grams"]["as_run"] == pytest.approx(890 / 3.6e6 * 1.2 * 56)
    assert kd["stages"][1]["agreement_percent"] == pytest.approx(100 * 580 / 590)
    cell = next(cell for cell in data["cells"] if "kd-0" in cell["runs"])
    assert cell["energy_joules"]["as_run"] == {"mean": 900.0, "deviation": 10.0, "n": 3, "uncertainty_joules": 0.5}
    assert data["comparison"]["joules"] == 200.0
    assert [device["device"] for device in data["devices"]] == ["cpu0"], "no device that no run used"


def test_markdown_has_totals_bounds_tables_and_footnotes() -> None:
    text = as_text(report_of(demo(), SEEN), "md")
    assert "| kd-1 | total |  | 80.0 | 900.0 ± 0.5 | 100.0 % | 30,000 | 0.0300 | measured | 897.0 | 99.67 % |" in text
    assert "not seen" in text
    assert "- logit_cache sha256:0123456789ab: made by kd-1" in text
    assert "## Was it worth it?" in text
    assert "## Methods" in text


def test_the_methods_paragraph_says_how_and_with_what() -> None:
    text = json.loads(as_text(everything(), "json"))["methods"]
    said = (
        "with Joulemark 0.",
        "read from its ledger",
        "the processor's energy counters (RAPL)",
        "three standard deviations",
        "runs that differ in seed alone",
        "on gsm8k",
        "PUE 1.2; 56 g CO2e per kWh, FR (a table, 2024)",
        "N* is",
    )
    assert [one for one in said if one not in text] == []
    assert "not used here" not in text
    modelled = json.loads(as_text(report_of({"a": record("a", [stage("eval", 1.0)], origin="modelled")}), "json"))
    assert "1 modelled" in modelled["methods"]
