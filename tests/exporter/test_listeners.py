"""Several listeners at once, Unix sockets among them."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from exporter_process import Exporter

from joulemark.addresses import Address, parse_addresses
from joulemark.errors import SettingsError
from joulemark.web.listeners import close, listen

MakeExporter = Callable[..., Exporter]
STAGE = {"run": "kd", "stage": "teacher"}


def by_socket(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://any.name", timeout=10)


def test_a_job_may_write_through_the_socket_and_see_itself_on_the_port(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    path = tmp_path / "joulemark.sock"
    exporter = make_exporter("--source", "replay", "--web.listen-address", f"unix:{path}")
    with by_socket(path) as http:
        assert http.put("/api/v1/stage", json=STAGE).status_code == 200
        assert "joulemark_energy_joules_total" in http.get("/metrics").text
    assert exporter.http.get("/api/v1/stage").json()[0]["run"] == "kd"


def test_what_is_sent_on_a_connection_leaves_at_once() -> None:
    # Else an answer of two parts takes 40 ms on a connection that is kept.
    address = Address("127.0.0.1", 0)
    with listen(address, 0o600, None) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_socket_is_for_owner_and_group_unless_asked_otherwise(make_exporter: MakeExporter, tmp_path: Path) -> None:
    paths = [tmp_path / "a.sock", tmp_path / "b.sock"]
    for path, options in zip(paths, ([], ["--web.socket-mode", "666"]), strict=True):
        exporter = make_exporter("--source", "replay", "--web.listen-address", f"unix:{path}", *options)
        expected = 0o666 if options else 0o660
        assert stat.S_IMODE(path.stat().st_mode) == expected
        assert exporter.terminate() == 0
        assert not path.exists(), "the socket must go with its exporter"


def test_with_tokens_the_socket_needs_one_too(make_exporter: MakeExporter, tmp_path: Path) -> None:
    path, tokens = tmp_path / "joulemark.sock", tmp_path / "tokens"
    tokens.write_text("trainer:" + "t" * 32)
    make_exporter("--source", "replay", "--web.listen-address", f"unix:{path}", "--api.token-file", str(tokens))
    with by_socket(path) as http:
        assert http.put("/api/v1/stage", json=STAGE).status_code == 401
        headers = {"Authorization": "Bearer " + "t" * 32}
        assert http.put("/api/v1/stage", json=STAGE, headers=headers).status_code == 200


def test_a_socket_left_by_a_killed_exporter_is_taken_over(make_exporter: MakeExporter, tmp_path: Path) -> None:
    path = tmp_path / "joulemark.sock"
    exporter = make_exporter("--source", "replay", "--web.listen-address", f"unix:{path}")
    exporter.kill()
    assert path.exists()
    exporter.start()
    with by_socket(path) as http:
        assert http.get("/-/ready").status_code == 200


def test_a_socket_in_use_and_a_file_of_another_kind_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "used.sock"
    with socket.socket(socket.AF_UNIX) as used:
        used.bind(str(path))
        used.listen()
        with pytest.raises(SettingsError, match="is in use"):
            listen(Address(path=path), 0o660, None)
    assert path.exists()
    precious = tmp_path / "precious"
    precious.write_text("results")
    with pytest.raises(SettingsError, match="no socket"):
        listen(Address(path=precious), 0o660, None)
    assert precious.read_text() == "results"


def test_what_is_wrong_with_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--web\.listen-address"):
        listen(Address(path=tmp_path / "nowhere" / "x.sock"), 0o660, None)
    with pytest.raises(SettingsError, match="no-such-group"):
        listen(Address(path=tmp_path / "x.sock"), 0o660, "no-such-group")
    assert not (tmp_path / "x.sock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_may_come_in_by_the_group_alone() -> None:
    # A test's own folder is closed to other users.
    path = Path(tempfile.gettempdir()) / f"joulemark-{os.getpid()}.sock"
    address = Address(path=path)
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"

    def may_connect(group: int) -> bool:
        command = ["python3", "-c", connect]
        return subprocess.run(command, user=65534, group=group, extra_groups=[], capture_output=True).returncode == 0

    listener = listen(address, 0o660, "users")
    try:
        listener.listen()
        assert path.stat().st_gid == 100
        assert may_connect(100)
        assert not may_connect(65534)
    finally:
        close(listener, address)


def test_every_interface_means_both_kinds_of_addresses(tmp_path: Path) -> None:
    address = Address("", 0)
    listener = listen(address, 0, None)
    try:
        listener.listen()
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1") if listener.family == socket.AF_INET6 else ("127.0.0.1",):
            socket.create_connection((host, port), timeout=5).close()
    finally:
        close(listener, address)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9871", [Address("127.0.0.1", 9871)]),
        (":9871", [Address("", 9871)]),
        ("[::1]:9871", [Address("::1", 9871)]),
        ("unix:/run/j.sock", [Address(path=Path("/run/j.sock"))]),
        ("unix:///run/j.sock", [Address(path=Path("/run/j.sock"))]),
        ("localhost:1, unix:/a", [Address("localhost", 1), Address(path=Path("/a"))]),
    ],
)
def test_addresses_are_read(text: str, expected: list[Address]) -> None:
    assert list(parse_addresses(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "9871", "localhost", "localhost:x", "a:65536", "::1:9871", "unix:run.sock", "unix:/" + "x" * 107, "a:²"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|absolute|longer"):
        parse_addresses(text)
