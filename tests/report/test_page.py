"""The page, in a real browser too, and how files are written."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.samples import HOSTILE, demo, everything, published, record, report_of, stage

from joulemark.report import Report, ReportError, as_text, write_one, write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt-get install chromium")


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
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(records: dict[str, dict[str, Any]], prometheus: Any = None) -> Page:
    return Page(as_text(report_of(records, prometheus), "html"))


# -- what it says ------------------------------------------------------------------------------------------


def test_the_page_holds_every_picture_for_both_widths_and_asks_for_nothing() -> None:
    page = Page(as_text(everything(), "html"))
    wide, narrow = page.attributes("img"), page.attributes("source")
    assert len(wide) == len(narrow) == 5
    for one in [image["src"] for image in wide] + [source["srcset"] for source in narrow]:
        assert one is not None
        assert base64.b64decode(one.removeprefix("data:image/svg+xml;base64,")).startswith(b"<?xml")
    assert page.attributes("link") == page.attributes("script") == []
    assert all(image["alt"] for image in wide)


def test_the_page_tells_share_bounds_baseline_and_reuse() -> None:
    text = page_of(demo()).text
    assert (
        "kd-1: 900.0 ± 0.5 J; 33.3 % of its energy is teacher-side; 1.25 times the energy of its baseline sft-1" in text
    )
    assert "300.0 ± 0.2" in text
    assert "made by kd-1 for 300.0 ± 0.2 J; used by 2 runs (kd-1, kd-2)" in text
    assert "idle cpu0 3.2 W" in text
    assert "Was it worth it?" in text


def test_the_page_tells_agreement_and_what_was_not_seen() -> None:
    seen = {("kd-1", "teacher", "logit_caching"): 297.0, ("kd-1", "student", "kd"): 600.0}
    text = page_of(demo(), seen).text
    assert "agree to 99.67 %" in text
    assert "not seen" in text
    assert "No run could be compared" in page_of(demo(), {}).text


def test_what_was_not_measured_is_marked() -> None:
    page = page_of({"kd-1b": published("kd-1b")})
    assert [tag for tag in page.attributes("p") if tag.get("class") == "mark"]
    assert [tag for tag in page.attributes("td") if tag.get("class") == "warn"], "in the tables too"
    assert not [tag for tag in page_of(demo()).attributes("p") if tag.get("class") == "mark"]


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    score = {"benchmark": HOSTILE, "score": 0.5, "reference": 1.0, "n": None}
    made = {"artifact": HOSTILE, "kind": HOSTILE, "role": "consumed"}
    fields = dict.fromkeys(("pipeline", "student", "teacher", "dataset", "baseline"), HOSTILE)
    labels = {HOSTILE: HOSTILE}
    hostile = record(HOSTILE, [stage(HOSTILE, 1.0)], scores=[score], artifacts=[made], labels=labels, **fields)
    page = page_of({HOSTILE: hostile})
    assert page.attributes("script") == []
    assert page.text.count(HOSTILE) >= 8


def test_pages_of_nothing_say_so() -> None:
    assert "No energy is booked" in page_of({}).text
    assert "no device" in page_of({"new": record("new", [])}).text


# -- in a browser ------------------------------------------------------------------------------------------


def browse(page: Path, *options: str) -> bytes:
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
        f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, cwd=page.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def long_names() -> Report:
    """A report whose names and figures are as long as they may be."""
    name = "a-run-of-a-rather-long-name." * 4
    many = {f"{name}{n}": {**published("kd-1b"), "run": f"{name}{n}", "student": "S" * 60} for n in range(3)}
    return report_of({**many, **demo()})


# Put into a copy of the page, which runs it where the page itself would run nothing.
MEASURE = """<script>addEventListener("load", () => {
  const root = document.documentElement, images = [...document.images];
  document.title = JSON.stringify({
    overflow: root.scrollWidth - root.clientWidth, loaded: images.every(i => i.complete && i.naturalWidth > 0),
    narrow: images.map(i => i.naturalWidth), shown: images.map(i => i.getBoundingClientRect().width),
    small: Math.min(...[...document.querySelectorAll("p, li, td, dd, figcaption")].map(
      e => parseFloat(getComputedStyle(e).fontSize))),
    width: root.clientWidth});
})</script>"""


@in_a_browser
@pytest.mark.parametrize("width", [390, 1200], ids=["phone", "desktop"])
@pytest.mark.parametrize("made", [everything, None], ids=["everything", "long names"])
def test_nothing_hangs_over_and_every_picture_shows(tmp_path: Path, width: int, made: Any, long_names: Report) -> None:
    text = as_text(made() if made else long_names, "html")
    # Headless windows are no narrower than 500 pixels, a frame is as narrow as it is told.
    inside = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace(
        "</body>", f"{MEASURE}</body>"
    )
    (tmp_path / "inside.html").write_text(inside)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<!doctype html><title></title><iframe id="f" src="inside.html" style="border:0;width:{width}px;height:900px">'
        "</iframe><script>onload = () => setTimeout(() => document.body.append("
        'document.getElementById("f").contentDocument.title), 300)</script>'
    )
    found = browse(frame, "--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom").decode()
    (seen,) = re.findall(r"\{&quot;.*?\}|\{\"overflow.*?\}", found)
    facts = json.loads(seen.replace("&quot;", '"'))
    assert facts["width"] == width
    assert facts["overflow"] <= 0, "the page does not scroll sideways; its wide tables do"
    assert facts["loaded"]
    assert facts["small"] >= 13, "readable without zooming"
    assert all(shown <= width for shown in facts["shown"])
    if width == 390:
        # The phone's own drawing, at least as large as it was drawn, so that its letters are.
        assert all(shown >= 0.9 * natural for shown, natural in zip(facts["shown"], facts["narrow"], strict=True))


@in_a_browser
def test_it_runs_nothing_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    evil = "<script>document.title='ran'</script><img src='http://127.0.0.1:9/x.png'>"
    page.write_text(as_text(everything(), "html").replace("</body>", f"{evil}</body>"))
    dom = browse(page, "--virtual-time-budget=3000", "--dump-dom").decode()
    assert "<title>Joulemark report</title>" in dom, "its policy lets no script run"


@in_a_browser
def test_it_prints_whole(tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext: apt-get install poppler-utils")
    page = tmp_path / "index.html"
    page.write_text(as_text(everything(), "html"))
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    table = text[text.index("End to end") :]
    for head in ("cell", "runs", "as run", "J/token", "Q", "frontier"):
        assert head in table, f"column {head!r} is cut off on paper"
    assert "How to read this" in text


# -- files -------------------------------------------------------------------------------------------------

PICTURES = [f"{name}.{kind}" for name in ("stage_breakdown", "amortisation") for kind in ("png", "svg", "pdf")]


def test_a_report_in_every_format(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    paths = write_report(report_of(demo()), folder, ("html", "csv", "json", "md", "latex"))
    names = ["index.html", "report.csv", "report.json", "report.md", "report.tex", "runs.csv", *PICTURES]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names), "no partial file stays"
    before = {path.name: path.read_bytes() for path in paths}
    assert all(before[path.name] == path.read_bytes() for path in write_report(report_of(demo()), folder))


def test_an_unknown_format_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="'pdf' is not known: use csv, json, md, latex, html"):
        write_report(report_of(demo()), tmp_path / "report", ("csv", "pdf"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"file cannot be written .*name another by --output"):
        write_report(report_of(demo()), tmp_path / "file", ("csv",))
    with pytest.raises(ReportError, match=r"cannot be written .*name another by --output"):
        write_one(report_of(demo()), tmp_path / "file" / "report.json", "json")


def test_an_older_report_stays_when_a_new_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(report_of(demo()), tmp_path, ("csv",))
    before = (tmp_path / "report.csv").read_bytes()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write_report(report_of({}), tmp_path, ("csv",))
    assert (tmp_path / "report.csv").read_bytes() == before


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from pathlib import Path
from report.samples import demo, report_of
from joulemark.report import ReportError, write_report
folder = Path(sys.argv[2])
try:
    write_report(report_of(demo()), folder)
except ReportError as error:
    print(error)
assert not folder.exists()
write_report(report_of(demo()), folder, ("csv", "json", "md", "latex"))
"""


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra_the_page_says_what_to_install(package: str, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    command = [sys.executable, "-c", WITHOUT, package, str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{package}\S* is not installed: pip install 'joulemark\[report\]'", done.stdout.strip())
    assert (tmp_path / "report" / "report.csv").exists()
