"""The page and its pictures, and how files are written."""

from __future__ import annotations

import base64
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.samples import HOSTILE, accounts, demo, published, record, stage

from joulemark.accounting import JOULES_PER_KWH
from joulemark.report import ReportError, write_report
from joulemark.report.canvas import scale, short, with_bound
from joulemark.report.figures import energy_quality, stage_breakdown
from joulemark.report.html import page_files

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ["index.html", "stage_breakdown.png", "energy_quality.png"]


class Page(HTMLParser):
    """The text and tags of a page; every tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(records: dict[str, dict[str, Any]], prometheus: Any = None) -> Page:
    return Page(page_files(accounts(records, prometheus))["index.html"].decode())


def test_the_page_holds_every_picture_and_asks_for_nothing() -> None:
    files = page_files(accounts(demo()))
    page = Page(files["index.html"].decode())
    embedded = [str(image["src"]).removeprefix("data:image/png;base64,") for image in page.attributes("img")]
    assert [base64.b64decode(one) for one in embedded] == [files[name] for name in NAMES[1:]]
    assert page.attributes("link") == page.attributes("script") == []
    assert all(image["alt"] for image in page.attributes("img"))


def test_the_page_tells_share_bounds_baseline_and_inheritance() -> None:
    text = page_of(demo()).text
    assert "kd-1: 33.3 % of its energy is teacher-side; 1.25 times the energy of its baseline sft-1" in text
    assert "300.0 ± 0.2" in text
    assert "kd-2: reuses logit_cache" in text
    assert "idle cpu0 3.2 W" in text
    assert "Prometheus was not asked" in text


def test_the_page_tells_agreement_and_what_was_not_seen() -> None:
    seen = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}
    text = page_of(demo(), seen).text
    assert "agree to 99.67 %" in text
    assert "not seen" in text
    assert "No run could be compared" in page_of(demo(), {}).text


def test_what_was_not_measured_is_marked() -> None:
    page = page_of({"kd-1b": published("kd-1b")})
    assert [tag for tag in page.attributes("p") if tag.get("class") == "mark"]
    assert "PUBLISHED" in page.text
    assert not [tag for tag in page_of(demo()).attributes("p") if tag.get("class") == "mark"]


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    score = {"benchmark": HOSTILE, "score": 0.5, "reference": 1.0, "n": None}
    made = {"artifact": HOSTILE, "kind": HOSTILE, "role": "consumed"}
    fields = dict.fromkeys(("pipeline", "student", "teacher", "dataset", "baseline"), HOSTILE)
    hostile = record(HOSTILE, [stage(HOSTILE, 1.0)], scores=[score], artifacts=[made], **fields)
    page = page_of({HOSTILE: hostile})
    assert page.attributes("script") == []
    assert page.text.count(HOSTILE) >= 8


def test_pages_of_nothing_say_so() -> None:
    assert "No energy is booked" in page_of({}).text
    assert "no device" in page_of({"new": record("new", [])}).text


@pytest.mark.parametrize("draw", [stage_breakdown, energy_quality])
def test_pictures_are_the_same_bytes_for_the_same_data(draw: Any) -> None:
    found = accounts({run: published(run) for run in ("sft-1b", "kd-1b", "kd-13b")})
    once = draw(found)
    assert once.startswith(PNG)
    assert once == draw(found)
    assert b"Software" not in once


@pytest.mark.parametrize("draw", [stage_breakdown, energy_quality])
def test_origins_are_marked_in_the_picture(draw: Any) -> None:
    measured = draw(accounts({"kd-1b": published("kd-1b") | {"origin": "measured"}}))
    assert draw(accounts({"kd-1b": published("kd-1b")})) != measured


def test_pictures_of_any_run_can_be_drawn() -> None:
    many = {f"run-{n}": published("kd-1b") | {"run": f"run-{n}"} for n in range(12)}
    odd = {"x" * 128: record("x" * 128, [stage("export", 0.0), stage("teacher", 0.0)], uncertainty_joules=900.0)}
    for records in (many, odd, many | odd, {}):
        for draw in (stage_breakdown, energy_quality):
            assert draw(accounts(records)).startswith(PNG)


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (7.0, 0.0001, "7.0000 ± 0.0001"),
        (1.23, 0.04, "1.23 ± 0.04"),
        (1234.5, 20.0, "1,234 ± 20"),
        (0.0, 0.0, "0"),
        (5, 0.006, "5.000 ± 0.006"),
        (1.0437, 0.0014, "1.044 ± 0.001"),
        (16.9, 0.0, "16.9"),
    ],
)
def test_digits_in_pictures(value: float, bound: float, text: str) -> None:
    assert with_bound(value, bound) == text


def test_units_in_pictures() -> None:
    assert [scale(joules)[1] for joules in (0.0, 999.0, 1e3, 3.5e5, 0.1 * JOULES_PER_KWH)] == [
        "J", "J", "kJ", "kJ", "kWh",
    ]  # fmt: skip
    assert len(short("y" * 128)) < 30
    assert short("kd-1") == "kd-1"


def test_a_report_in_every_format(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    paths = write_report(accounts(demo()), folder, ("html", "csv", "json", "md"))
    names = [*NAMES, "report.csv", "report.json", "report.md"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names), "no partial file stays"
    assert [path.read_bytes() for path in write_report(accounts(demo()), folder)] == [p.read_bytes() for p in paths[:3]]


def test_an_unknown_format_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="'pdf' is not known: use html, csv, json, md"):
        write_report(accounts(demo()), tmp_path / "report", ("csv", "pdf"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"file cannot be written .*--output"):
        write_report(accounts(demo()), tmp_path / "file", ("csv",))


def test_a_failed_write_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(ReportError):
        write_report(accounts(demo()), tmp_path, ("md",))
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_without_the_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ReportError, match=r"jinja2 is not installed: pip install 'joulemark\[report\]'"):
        write_report(accounts(demo()), tmp_path)
    assert write_report(accounts(demo()), tmp_path, ("csv",))
