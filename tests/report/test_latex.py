"""The tables for LaTeX: what they hold, and, where TeX is installed, that they compile and fit a page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from accounting.published import published_records
from report.samples import FACTORS, HOSTILE, apart, everything, record, report_of, stage

from joulemark.report import Report, as_text, make_report

NEEDED = r"\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"
# A line may stick out by a hair; a table that did not fit stuck out by a third of its width.
TOO_WIDE = re.compile(r"Overfull \\hbox \((?!\d\.)[^)]*\)")


def hostile() -> Report:
    facts = {"pipeline": "50 % of_it", "student": "{s}", "origin": "modelled"}
    return report_of({HOSTILE: record(HOSTILE, [stage("eval", 1.0)], **facts)})


def test_latex_prints_what_is_there() -> None:
    text = as_text(hostile(), "latex")
    assert r"50 \% of\_it \{s\}" in text
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 2
    assert r"MODELLED" in text.split("\\caption{")[1], "a caption travels with its table"
    for table in text.split("\\toprule")[1:]:
        body = table.partition("\\bottomrule")[0]
        cells = {line.count(" & ") for line in body.splitlines() if line.endswith(r"\\")}
        assert len(cells) == 1, "every row has as many cells as the head"


def test_an_origin_that_all_runs_share_is_in_the_caption_alone() -> None:
    assert "modelled \\\\" not in as_text(hostile(), "latex")
    one = record("theirs", [stage("student", 9.0)], pipeline="kd", student="s", origin="published")
    both = report_of({"theirs": one, "mine": record("mine", [stage("student", 8.0)], pipeline="kd", student="s")})
    assert "& published \\\\" in as_text(both, "latex")
    assert "& measured \\\\" in as_text(both, "latex")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: apt-get install texlive-latex-recommended")
@pytest.mark.parametrize("what", ["published", "hostile", "everything", "doubted"])
def test_it_compiles_and_no_table_is_wider_than_the_text(what: str, tmp_path: Path) -> None:
    records = published_records(tmp_path)
    paper = make_report(list(records), records, factors=FACTORS)
    doubted = report_of({HOSTILE: apart(HOSTILE)})
    made = {"published": paper, "hostile": hostile(), "everything": everything(), "doubted": doubted}
    report = made[what]
    (tmp_path / "report.tex").write_text(as_text(report, "latex"))
    (tmp_path / "main.tex").write_text(
        rf"\documentclass{{article}}{NEEDED}\begin{{document}}\input{{report}}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    log = (tmp_path / "main.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert not TOO_WIDE.findall(log)
