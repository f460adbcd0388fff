"""Reading Prometheus: what is asked, what comes back, and what is said when it does not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from exporter_process import free_port
from hypothesis import given
from hypothesis import strategies as st
from prometheus_process import backfilled

from joulemark import promql

HOSTILE = ["kd-1", 'a"b', "c\\d", "e.f", "g|h", "i{}+*", "j\nk", "l$^m", "n o", "ü"]


class FakePrometheus(ThreadingHTTPServer):
    """Answers every query with what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.status = 200
        self.body = b""
        self.queries: list[str] = []
        self.paths: list[str] = []
        self.answering = threading.Event()
        self.answering.set()

    def answers(self, *rows: tuple[dict[str, str], str], kind: str = "vector") -> None:
        result = [{"metric": labels, "value": [1.0, value]} for labels, value in rows]
        self.body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


class Handler(BaseHTTPRequestHandler):
    server: FakePrometheus

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.queries += parse_qs(form)["query"]
        if not self.server.answering.is_set():
            self.server.answering.wait(30)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        return


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    server = FakePrometheus()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.answering.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_query_is_posted_with_its_timeout(fake: FakePrometheus) -> None:
    fake.answers(({"run": "kd-1", "stage": "teacher"}, "12.5"), ({"run": "kd-1"}, "NaN"))
    assert promql.latest(fake.url + "/", "joulemark_energy_joules_total", promql.run_matcher(["kd-1"]), "1d") == [
        ({"run": "kd-1", "stage": "teacher"}, 12.5)
    ]
    assert fake.paths == ["/api/v1/query"]
    assert fake.queries == [r'last_over_time(joulemark_energy_joules_total{run=~"kd\\-1"}[1d])']


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=12))
def test_the_matcher_takes_these_runs_and_no_other(runs: list[str], other: str) -> None:
    literal = promql.run_matcher(runs).removeprefix("run=~")
    assert "\n" not in literal
    pattern = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], literal[1:-1], flags=re.DOTALL)
    assert all(re.fullmatch(pattern, run) for run in runs)
    assert (re.fullmatch(pattern, other) is not None) == (other in runs)


def test_a_refused_query_is_told_in_prometheus_own_words(fake: FakePrometheus) -> None:
    fake.status, fake.body = 400, b'{"status":"error","errorType":"bad_data","error":"parse error: unexpected"}'
    with pytest.raises(promql.PromQLError, match="refused 'up': parse error: unexpected"):
        promql.instant(fake.url, "up")
    fake.status, fake.body = 404, b"not here"
    with pytest.raises(promql.PromQLError, match=r"HTTP 404 .*is it a Prometheus"):
        promql.instant(fake.url, "up")


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"data": {"resultType": "vector", "result": [{}]}}', b"\xff"]
)
def test_another_server_is_recognised(fake: FakePrometheus, body: bytes) -> None:
    fake.body = body
    with pytest.raises(promql.PromQLError, match="is not a Prometheus"):
        promql.instant(fake.url, "up")


def test_a_scalar_is_not_a_vector(fake: FakePrometheus) -> None:
    fake.answers(kind="scalar")
    with pytest.raises(promql.PromQLError, match="answered a scalar"):
        promql.instant(fake.url, "1")


def test_nobody_there_is_told_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(promql.PrometheusUnreachable, match=rf"at {url} .*refused.*start it"):
        promql.instant(url, "up")


def test_a_slow_prometheus_is_not_waited_for(fake: FakePrometheus) -> None:
    fake.answering.clear()
    with pytest.raises(promql.PrometheusUnreachable, match="timed out"):
        promql.instant(fake.url, "up", timeout_seconds=0.1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:9090", "", "ftp://host"])
def test_only_http_addresses_are_opened(url: str) -> None:
    with pytest.raises(promql.PrometheusUnreachable, match="is not a Prometheus address"):
        promql.instant(url, "up")


def test_a_lookback_that_is_no_duration_is_refused(fake: FakePrometheus) -> None:
    with pytest.raises(promql.PromQLError, match="not a duration"):
        promql.latest(fake.url, "joulemark_run_info", "", "1d]) or up")
    assert fake.queries == []


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with backfilled(tmp_path, "") as url:
        yield url


@pytest.mark.prometheus
def test_a_real_prometheus_reads_every_name_as_it_is(prometheus: str) -> None:
    for name in HOSTILE:
        labelled = f'label_replace(vector(1), "run", {promql.string_literal(name.replace("$", "$$"))}, "", "")'
        assert promql.instant(prometheus, labelled) == [({"run": name}, 1.0)]
    assert promql.latest(prometheus, "joulemark_run_info", promql.run_matcher(HOSTILE)) == []
    # The pattern in the hands of Prometheus' own regular expressions: it matches each name whole, and nothing else.
    pattern = promql.run_matcher(HOSTILE).removeprefix("run=~")
    for name, matches in [*((name, True) for name in HOSTILE), ("exf", False), ("kd-11", False), ("g", False)]:
        text = promql.string_literal(name.replace("$", "$$"))
        query = f'label_replace(label_replace(vector(1), "run", {text}, "", ""), "hit", "yes", "run", {pattern})'
        assert ("hit" in promql.instant(prometheus, query)[0][0]) is matches, name
    with pytest.raises(promql.PromQLError, match="parse error"):
        promql.instant(prometheus, "sum by (")
