"""The pages for browsers, in a real one: live, under the strict policy, readable on a phone and by a screen reader."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Chromium, needs_chromium
from exporter_process import Exporter

pytestmark = needs_chromium

TRACE = "gpu0: [[1, 200]]\ngpu1: [[1, 300]]\n"
EVIL = '"><img src=x onerror=alert(1)>'
# Contrast by WCAG's formula between a text and what lies behind it.
CONTRAST = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (c) => (c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels(colour).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${element.tagName} ${element.textContent.slice(0, 30)}`);
  }
  return low;
})()"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as found:
        found.size(1280, 900)
        yield found


@pytest.fixture
def served(make_exporter: Callable[..., Exporter], tmp_path: Path) -> Exporter:
    (tmp_path / "trace.yml").write_text(TRACE)
    links = (
        "--web.prometheus-url",
        "http://prometheus.example.org:9090",
        "--web.grafana-url",
        "https://g.example.org/?a=1&b=2",
    )
    return make_exporter("--source", "replay", "--replay.trace", str(tmp_path / "trace.yml"), *links)


def text(browser: Chromium, selector: str) -> str:
    return str(browser.run(f"document.querySelector({selector!r})?.innerText ?? ''"))


def test_it_shows_what_runs_and_follows_without_reloading(served: Exporter, browser: Chromium) -> None:
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelector('#live-text').textContent === 'live'")
    assert "No stage is set" in text(browser, "#no-stage")
    assert "curl -X PUT" in text(browser, "#example")
    browser.run("window.not_reloaded = true")
    window = served.put_stage("kd-1b", "teacher", phase="logit_caching", devices=["gpu0"])["id"]
    served.http.post(f"/api/v1/stage/{window}/heartbeat", json={"tokens": {"cached": 4096}})
    browser.wait("document.querySelector('#now .card')?.innerText.includes('4,096 cached')")
    card = text(browser, "#now .card")
    for word in ("kd-1b", "teacher · logit_caching", "gpu0", "modelled", "±"):
        assert word in card
    browser.wait("/[1-9].* ± .* J/.test(document.querySelector('#now .big').innerText)")
    served.http.delete(f"/api/v1/stage/{window}")
    served.put_stage("kd-1b", "student")
    browser.wait("document.querySelectorAll('#windows tbody tr').length === 2")
    rows = browser.run("[...document.querySelectorAll('#windows tbody tr')].map((row) => row.innerText)")
    assert "student" in rows[0]
    assert "ended" in rows[1]
    assert "±" in rows[1]
    assert "modelled" in rows[1]
    assert browser.run("window.not_reloaded") is True
    assert browser.complaints == []


def test_figures_are_those_of_the_api(served: Exporter, browser: Chromium) -> None:
    window = served.put_stage("kd-1b", "data", devices=["gpu1"])["id"]
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelectorAll('#windows tbody tr').length === 1")
    summary = served.http.delete(f"/api/v1/stage/{window}").json()
    browser.wait("document.querySelector('#windows tbody tr').innerText.includes('ended')")
    browser.wait("!document.querySelector('#windows .energy span span').title.includes('yet to confirm')")
    final = served.http.get("/api/v1/windows").json()[0]
    shown = text(browser, "#windows .energy span span")
    figure, _, rest = shown.partition(" ± ")
    scale = {"kJ": 1e3, "J": 1.0, "mJ": 1e-3}[rest.split(" ")[1]]
    assert float(figure) * scale == pytest.approx(final["joules"], abs=max(final["uncertainty_joules"], 1e-6))
    assert final["joules"] >= summary["joules"] * 0.5


def test_sources_show_their_health_and_what_is_modelled(served: Exporter, browser: Chromium) -> None:
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelectorAll('#sources .card').length === 2")
    card = text(browser, "#sources .card")
    for word in ("gpu0", "reading", "modelled", "replay", "200 W"):
        assert word in card
    assert "gpu0, gpu1 is modelled, not measured" in text(browser, "#modelled")
    browser.wait("document.querySelector('#sources svg polyline') !== null")


def test_a_dead_exporter_is_told_and_the_last_figures_stay(served: Exporter, browser: Chromium) -> None:
    served.put_stage("kd-1b", "data")
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelectorAll('#now .card').length === 1")
    served.kill()
    browser.wait(
        "document.querySelector('#live-text').textContent.startsWith('no answer from the exporter; figures are of')"
    )
    assert browser.run("document.querySelectorAll('#now .card').length") == 1
    served.start()
    browser.wait("document.querySelector('#live-text').textContent === 'live'")


def test_links_are_those_that_were_set(served: Exporter, browser: Chromium) -> None:
    browser.goto(f"{served.url}/")
    links = browser.run("Object.fromEntries([...document.querySelectorAll('nav a')].map((a) => [a.innerText, a.href]))")
    assert links == {
        "Metrics": f"{served.url}/metrics",
        "API": f"{served.url}/docs",
        "Prometheus": "http://prometheus.example.org:9090/",
        "Grafana": "https://g.example.org/?a=1&b=2",
    }


def test_links_that_were_not_set_are_not_shown(exporter: Exporter) -> None:
    page = exporter.http.get("/").text
    assert "Prometheus" not in page
    assert "<!--" not in page


def test_a_name_is_text_and_never_markup(served: Exporter, browser: Chromium) -> None:
    served.http.put("/api/v1/runs/kd", json={"student": EVIL, "labels": {EVIL: EVIL}})
    assert served.http.put("/api/v1/stage", json={"run": EVIL, "stage": "teacher"}).status_code == 422
    served.put_stage("kd", "teacher")
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelectorAll('#now .card').length === 1")
    assert browser.run("[...document.images].every((image) => image.src.endsWith('icon.svg'))")


def test_injected_script_does_not_run(served: Exporter, browser: Chromium) -> None:
    browser.goto(f"{served.url}/")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit = 1\">')")
    browser.run("(() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1';"
                " document.body.append(s); })()")  # fmt: skip
    browser.wait("document.querySelectorAll('body > script').length === 1")
    assert browser.run("window.hit") is None


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", ["", "docs#switch"])
def test_it_fits_a_phone_and_can_be_read(served: Exporter, browser: Chromium, page: str, dark: bool) -> None:
    served.put_stage("a-run-with-a-rather-long-name-1b-to-135m", "teacher", phase="logit_caching")
    served.put_stage("a-run-with-a-rather-long-name-1b-to-135m", "eval", nest=True)
    browser.size(360, 740, dark=dark)
    browser.goto(f"{served.url}/{page}")
    browser.wait("document.querySelectorAll('#windows tbody tr, .call').length > 1")
    assert browser.run("document.documentElement.scrollWidth") <= 360
    assert browser.run(CONTRAST) == []
    browser.size(1280, 900, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= 1280
    assert browser.run(CONTRAST) == []


def test_it_is_a_page_for_keyboards_and_screen_readers(served: Exporter, browser: Chromium) -> None:
    served.put_stage("kd", "teacher")
    browser.size(360, 740)
    browser.goto(f"{served.url}/")
    browser.wait("document.querySelectorAll('#windows tbody tr').length === 1")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]}
    roles = {role for role, _ in named}
    # The table stays one where a narrow window shows it as blocks.
    assert {"main", "navigation", "banner", "status", "table", "row", "cell", "columnheader", "heading"} <= roles
    assert ("heading", "Last windows") in named
    assert ("link", "Skip to the stages") in named
    assert not [name for role, name in named if role in ("link", "button", "image") and not name]
    assert browser.run("document.documentElement.lang") == "en"
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left >= 0")


def test_the_api_page_works_with_no_way_out(served: Exporter, browser: Chromium) -> None:
    browser.goto(f"{served.url}/docs#switch")
    spec = served.http.get("/openapi.json").json()
    calls = sum(len(calls) for calls in spec["paths"].values())
    browser.wait(f"document.querySelectorAll('.call').length === {calls}")
    opened = text(browser, "#switch")
    for word in ("PUT", "/api/v1/stage", "ttl_seconds", "1 to 86400", "uncertainty_joules", "409", "curl -X PUT"):
        assert word in opened
    own = browser.run(
        "performance.getEntriesByType('resource').every((entry) => entry.name.startsWith(location.origin))"
    )
    assert own is True
    assert browser.complaints == []


def test_the_curl_lines_of_the_api_page_work(served: Exporter, browser: Chromium) -> None:
    window = served.put_stage("kd-1b", "data")["id"]
    browser.goto(f"{served.url}/docs")
    browser.wait("document.querySelectorAll('.call').length > 5")
    lines = browser.run("[...document.querySelectorAll('.call pre')].map((pre) => pre.textContent)")
    assert len(lines) > 8
    # A run is forgotten last: its windows must have ended and their last joules be settled.
    forgotten = [line for line in lines if "-X DELETE" in line and "/runs/" in line]
    for line in sorted(set(lines) - set(forgotten), key=lambda line: "-X DELETE" in line):
        assert status_of(line.replace("0f3b6d1c2a4e5f60", window)) == "200", line
    for one in served.http.get("/api/v1/stage").json():
        served.http.delete(f"/api/v1/stage/{one['id']}")
    assert len(forgotten) == 1
    for _ in served.until("the run is settled and can be forgotten"):
        if status_of(forgotten[0]) == "200":
            break


def status_of(line: str) -> str:
    """The HTTP status that a curl line of the page gets."""
    command = f"{line} --noproxy '*' -s -o /dev/null -w '%{{http_code}}'"
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout
