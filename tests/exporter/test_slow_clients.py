"""Slow and stuck clients: a scrape and a transition go through all the same, and each of them is cut off in the end."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import anyio.to_thread
import pytest
import uvicorn
from exporter_process import Exporter, wait_for
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from joulemark.web.config_file import WebConfig
from joulemark.web.connection import Connection, Limits
from joulemark.web.protection import Security

CROWD = 600  # More than the exporter keeps at a time.
STAGE = {"run": "kd", "stage": "teacher"}


def connect(port: int, sent: bytes = b"") -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    if sent:
        raw.sendall(sent)
    return raw


def received(raw: socket.socket, until: bytes) -> bytes:
    """What comes, up to a mark or the end."""
    found = b""
    while until not in found and (chunk := raw.recv(65536)):
        found += chunk
    return found


HEADER = b"POST /api/v1/runs/evil/scores HTTP/1.1\r\nHost: localhost\r\n"
SLOW = {
    "says nothing": b"",
    "half a header": HEADER + b"X-Slow: ",
    "half a body": HEADER + b"Content-Length: 60000\r\n\r\n{",
    "half a chunk": HEADER + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "never reads": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
    "never asks again": b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_crowd_of_slow_clients_holds_up_neither_a_scrape_nor_a_transition(exporter: Exporter, kind: str) -> None:
    exporter.put_stage("kd", "data")
    with ExitStack() as crowd:
        for _ in range(CROWD):
            crowd.enter_context(connect(exporter.port, SLOW[kind]))
        for stage in ("teacher", "student"):
            # Their own connections are new ones, as Prometheus' and a job's first are.
            exporter.http.close()
            exporter.http = exporter.new_client()
            began = time.monotonic()
            exporter.put_stage("kd", stage)
            assert exporter.metrics()['joulemark_device_energy_joules_total{device="gpu0"}'] >= 0
            # Far below the time-outs: nobody waited for one to pass.
            assert time.monotonic() - began < 9
        files = len(list((exporter.proc / "fd").iterdir()))
        assert files < 350, "connections must be bounded"
    assert [run["run"] for run in exporter.http.get("/api/v1/runs").json()] == ["kd"]
    assert "Traceback" not in exporter.stop_and_read_log()


def test_a_scrape_is_answered_while_forty_bodies_are_on_their_way(exporter: Exporter) -> None:
    """As many as there are threads for calls: a body that is waited for must hold none."""
    with ExitStack() as crowd:
        bodies = [crowd.enter_context(connect(exporter.port, SLOW["half a body"])) for _ in range(60)]
        assert exporter.http.get("/metrics").status_code == 200
        assert exporter.http.get("/api/v1/devices").status_code == 200
        assert exporter.http.put("/api/v1/stage", json=STAGE).status_code == 200
        bodies[0].settimeout(30)
        answer = received(bodies[0], until=b"}").decode()
        assert answer.startswith("HTTP/1.1 408")
        assert "right Content-Length" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000, "400"),
        (HEADER + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "400"),
        (HEADER + b"Content-Length: -5\r\n\r\n", "400"),
        (HEADER + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000, "413"),
    ],
)
def test_what_is_no_proper_request_is_refused_as_a_problem(exporter: Exporter, sent: bytes, status: str) -> None:
    with connect(exporter.port) as raw:
        with suppress(ConnectionError):
            raw.sendall(sent)
        answer = received(raw, until=b"}").decode()
    assert answer.startswith(f"HTTP/1.1 {status}")
    assert "application/problem+json" in answer
    assert '"remedy"' in answer


# -- each limit by itself, with short ones --------------------------------------------------------------------

LIMITS = Limits(
    handshake_seconds=0.5, header_seconds=0.5, body_seconds=0.5, reading_seconds=0.5, connections=3, waiting=2
)


@pytest.fixture
def small_server() -> Iterator[tuple[int, Callable[[], None]]]:
    """A server with short limits, its port, and what lets its big answers go."""
    released = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/body":
            while (await receive()).get("more_body"):
                pass
        if scope["path"] == "/working":
            await anyio.to_thread.run_sync(released.wait)
        body = b"x" * (8_000_000 if scope["path"] == "/big" else 2)
        await Response(body)(scope, receive, send)

    protocol = functools.partial(Connection, security=lambda: Security(None, WebConfig()), limits=LIMITS)
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, loop="asyncio")  # type: ignore[arg-type]
    server = uvicorn.Server(config)

    async def sweep() -> None:
        for connection in tuple(server.server_state.connections):
            assert isinstance(connection, Connection)
            connection.sweep(time.monotonic())

    config.callback_notify, config.timeout_notify = sweep, 0
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        wait_for(lambda: server.started)
        yield listener.getsockname()[1], released.set
        released.set()
        server.should_exit = True
        thread.join(timeout=20)


def ends(raw: socket.socket) -> bool:
    """Whether the other side closes within a few sweeps."""
    raw.settimeout(15)
    try:
        while raw.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", get("/")[:-2], get("/body", "Content-Length: 5") + b"x"],
    ids=["nothing", "line", "header", "body"],
)
def test_who_does_not_finish_a_request_is_cut_off(small_server: tuple[int, Callable[[], None]], sent: bytes) -> None:
    with connect(small_server[0], sent) as raw:
        assert ends(raw)


def test_who_sends_a_byte_now_and_then_is_cut_off_too(small_server: tuple[int, Callable[[], None]]) -> None:
    with connect(small_server[0]) as raw, suppress(ConnectionError):
        for byte in get("/", "X: " + "y" * 100):
            raw.send(bytes([byte]))
            time.sleep(0.1)
        raise AssertionError("it took all of it")


def test_who_does_not_read_the_answer_is_cut_off(small_server: tuple[int, Callable[[], None]]) -> None:
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", small_server[0]))
        raw.sendall(get("/big"))
        time.sleep(4)
        raw.settimeout(15)
        found = 0
        with suppress(ConnectionError):
            while chunk := raw.recv(65536):
                found += len(chunk)
        assert found < 8_000_000


def test_a_server_that_takes_its_time_is_not_the_clients_fault(
    small_server: tuple[int, Callable[[], None]],
) -> None:
    port, release = small_server
    with connect(port, get("/working")) as raw:
        time.sleep(3)
        release()
        raw.settimeout(10)
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_newcomer_takes_the_place_of_who_asks_ahead_of_the_answers(
    small_server: tuple[int, Callable[[], None]],
) -> None:
    port, release = small_server
    with ExitStack() as all_of_them:
        honest = [all_of_them.enter_context(connect(port, get("/working"))) for _ in range(2)]
        ahead = all_of_them.enter_context(connect(port, get("/working") * 3))
        time.sleep(0.5)
        with connect(port, get("/")) as newcomer:
            newcomer.settimeout(10)
            assert newcomer.recv(4096).startswith(b"HTTP/1.1 200")
        assert ends(ahead)
        release()
        for raw in honest:
            raw.settimeout(10)
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_newcomer_takes_the_place_of_who_waited_longest(small_server: tuple[int, Callable[[], None]]) -> None:
    port, release = small_server
    with ExitStack() as all_of_them:
        working = all_of_them.enter_context(connect(port, get("/working")))
        time.sleep(0.2)
        idle = [all_of_them.enter_context(connect(port)) for _ in range(2)]
        newcomer = all_of_them.enter_context(connect(port, get("/")))
        newcomer.settimeout(10)
        assert newcomer.recv(4096).startswith(b"HTTP/1.1 200")
        idle[0].settimeout(10)
        with suppress(ConnectionError):
            assert idle[0].recv(10) == b""
        release()
        working.settimeout(10)
        assert working.recv(4096).startswith(b"HTTP/1.1 200")


def test_while_all_are_being_served_a_newcomer_is_let_in_but_not_any_number(
    small_server: tuple[int, Callable[[], None]],
) -> None:
    port, release = small_server
    with ExitStack() as all_of_them:
        working = []
        for _ in range(4):
            # One after another: who has not asked yet would make room for the next.
            working.append(all_of_them.enter_context(connect(port, get("/working"))))
            time.sleep(0.3)
        with connect(port, get("/")) as newcomer:
            newcomer.settimeout(10)
            assert newcomer.recv(4096).startswith(b"HTTP/1.1 200")
        time.sleep(0.5)
        working.append(all_of_them.enter_context(connect(port, get("/working"))))
        time.sleep(0.5)
        assert ends(all_of_them.enter_context(connect(port)))
        release()
        for raw in working:
            raw.settimeout(10)
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
