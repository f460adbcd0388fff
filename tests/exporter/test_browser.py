"""A page that somebody has open must not be able to set stages in his name, nor to read what runs here."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from chromium import Chromium, needs_chromium
from exporter_process import Exporter

STAGE = '{"run":"evil","stage":"teacher"}'

ATTACK = """<!doctype html><title>trying</title><script>
const given = new URL(location.href).searchParams, target = given.get("target"), window_id = given.get("id");
const json = '{"tokens":{"cached":1}}', calls = [
  ["POST", `/api/v1/stage/${window_id}/heartbeat`, json],
  ["POST", "/api/v1/runs/evil/scores", '{"benchmark":"b","score":1}'],
  ["POST", "/api/v1/runs/evil/artifacts", '{"artifact":"a","kind":"k","role":"produced"}'],
  ["PUT", "/api/v1/stage", '{"run":"evil","stage":"teacher"}'], ["DELETE", `/api/v1/stage/${window_id}`, ""]];
const tries = [];
for (const [method, path, body] of calls) {
  for (const mode of ["no-cors", "cors"]) {
    for (const referrerPolicy of ["no-referrer", "unsafe-url"]) {
      const headers = { "Content-Type": "text/plain" };
      tries.push(fetch(target + path, { method, body, mode, referrerPolicy, headers }));
    }
  }
  navigator.sendBeacon(target + path, body);
}
tries.push(fetch(target + "/api/v1/stage").then((answer) => answer.text()).then(() => { window.read_it = true; }));
tries.push(new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.name = "frame"; frame.onload = done; document.documentElement.append(frame);
  const form = document.createElement("form");
  form.method = "post"; form.enctype = "text/plain"; form.target = "frame";
  form.action = target + "/api/v1/runs/evil/scores";
  const field = document.createElement("input");
  field.name = '{"benchmark":"form","score":1,"x'; field.value = '":1}';
  form.append(field); document.documentElement.append(form); form.submit();
  setTimeout(done, 3000);
}));
Promise.allSettled(tries).then((all) => { document.title = `tried ${all.length}`; });
</script>"""


@pytest.fixture
def foreign_site(tmp_path: Path) -> Iterator[str]:
    """A web server on another port of this machine: another origin, and to a browser the same site."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "attack.html").write_text(ATTACK)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
        pass


@needs_chromium
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_real_page_of_another_origin_can_neither_write_nor_read(
    exporter: Exporter, foreign_site: str, tmp_path: Path, name: str
) -> None:
    window = exporter.put_stage("mine", "teacher", ttl_seconds=3600)
    target = f"http://{name}:{exporter.port}"
    with Chromium(tmp_path / "profile") as browser:
        browser.goto(f"{foreign_site}/attack.html?target={target}&id={window['id']}")
        browser.wait("document.title.startsWith('tried')", seconds=40)
        assert browser.run("document.title") == "tried 22"
        assert browser.run("window.read_it") is None
    assert [run["run"] for run in exporter.http.get("/api/v1/runs").json()] == ["mine"]
    left = exporter.http.get("/api/v1/stage").json()[0]
    assert (left["id"], left["state"], left["tokens"]) == (window["id"], "active", {})
    assert "event=refused status=403" in exporter.stop_and_read_log()


FOREIGN = (
    {"Origin": "https://example.org"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://localhost:1"},
    {"Referer": "https://example.org/page"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "rebound.example.org"},
    {"Host": "rebound.example.org:9871"},
    {"Host": "127.0.0.1.example.org"},
    {"Host": "["},
    {"Host": "rebound.example.org", "Origin": "http://rebound.example.org"},
)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_what_a_browser_sends_for_a_foreign_page_is_refused(exporter: Exporter, kind: str) -> None:
    for headers in FOREIGN:
        answer = exporter.http.put("/api/v1/stage", content=STAGE, headers={**headers, "Content-Type": kind})
        assert answer.status_code == 403, headers
        assert answer.json()["field"] in ("Origin", "Referer", "Host")
        assert answer.json()["remedy"]
    assert exporter.http.get("/api/v1/stage").json() == []


def test_a_rebound_name_may_not_even_read(exporter: Exporter) -> None:
    for path in ("/metrics", "/", "/api/v1/stage", "/api/v1/runs", "/openapi.json"):
        answer = exporter.http.get(path, headers={"Host": "rebound.example.org:9871"})
        assert answer.status_code == 403
        assert "--web.allowed-hosts" in answer.json()["remedy"]


def test_known_names_are_let_in(make_exporter: Callable[..., Exporter]) -> None:
    exporter = make_exporter("--source", "replay", "--web.allowed-hosts", "node7.example.org, other")
    for host in ("localhost:9999", "127.0.0.1", "[::1]:1", "tunnel.localhost", "node7.example.org:80", "OTHER"):
        answer = exporter.http.put("/api/v1/stage", content=STAGE, headers={"Host": host})
        assert answer.status_code == 200, host


def test_no_call_allows_another_origin(exporter: Exporter) -> None:
    for method in ("OPTIONS", "HEAD", "PATCH", "TRACE"):
        asks = {"Origin": "https://example.org", "Access-Control-Request-Method": "PUT"}
        answer = exporter.http.request(method, "/api/v1/stage", headers=asks)
        assert answer.status_code in (403, 405)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_every_answer_carries_the_security_headers(exporter: Exporter) -> None:
    answers: list[httpx.Response] = [
        exporter.http.get("/"),
        exporter.http.get("/metrics"),
        exporter.http.get("/nowhere"),
        exporter.http.put("/api/v1/stage", content="{"),
        exporter.http.put("/api/v1/stage", content=STAGE, headers={"Origin": "null"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400, 403]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "deny"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
