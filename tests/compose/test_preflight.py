"""What the stack says before anything else starts: taken ports, a missing NVIDIA driver or toolkit, and what to do."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter, free_port

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "docker" / "preflight.py"
PORTS = ("JOULEMARK_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "ALERTMANAGER_PORT", "VICTORIAMETRICS_PORT")


def preflight(*wanted: str, script: str = "", **settings: str) -> str:
    """What it says; it never stops anything."""
    command = [sys.executable, "-I", *(["-c", script] if script else [str(SCRIPT)]), *wanted]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **settings}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Page(BaseHTTPRequestHandler):
    """Says the same to every question."""

    status, text = 200, "somebody else's"

    def do_GET(self) -> None:
        body = self.text.encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[int, str], str]]:
    """Starts a server that answers with a status and a text; its port as a setting has it."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, text: str) -> str:
        page = type("Said", (Page,), {"status": status, "text": text})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), page))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return str(servers[-1].server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_of_free_ports_nothing_is_said() -> None:
    assert preflight(*PORTS, **{name: str(free_port()) for name in PORTS}) == ""


def test_a_port_of_a_silent_stranger_is_named_with_its_setting_and_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = preflight("JOULEMARK_PORT", JOULEMARK_PORT=str(port))
    assert said.startswith(f"wrong: port {port} is taken by another program")
    found = re.search(r"set JOULEMARK_PORT=(\d+) in .env", said)
    assert found
    assert int(found[1]) > port
    with socket.socket() as free:
        free.bind(("127.0.0.1", int(found[1])))


OURS = {
    "PROMETHEUS_PORT": (200, '{"data":{"config.file":"/etc/prometheus/joulemark/compose.yml"}}'),
    "GRAFANA_PORT": (200, "{}"),
    "ALERTMANAGER_PORT": (200, '{"config":{"original":"JoulemarkExporterDown"}}'),
    "VICTORIAMETRICS_PORT": (200, '-storageDataPath="/victoria-metrics-data"'),
}
STRANGERS = {
    "PROMETHEUS_PORT": (200, '{"data":{"config.file":"/etc/prometheus/prometheus.yml"}}'),
    "GRAFANA_PORT": (401, "Unauthorized"),
    "ALERTMANAGER_PORT": (200, '{"config":{"original":"route: {receiver: mine}"}}'),
    "VICTORIAMETRICS_PORT": (200, '-storageDataPath="/data"'),
}


@pytest.mark.parametrize("setting", OURS)
def test_a_port_that_this_stack_has_already_is_no_fault(setting: str, serve: Callable[[int, str], str]) -> None:
    assert preflight(setting, **{setting: serve(*OURS[setting])}) == ""
    assert "is taken by another program" in preflight(setting, **{setting: serve(*STRANGERS[setting])})


def test_an_exporter_outside_of_containers_is_a_stranger_to_them(
    make_exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    exporter = make_exporter()
    assert "so exporter cannot start" in preflight("JOULEMARK_PORT", JOULEMARK_PORT=exporter.url.rpartition(":")[2])
    exporter.kill()
    tokens = tmp_path / "tokens"
    tokens.write_text(f"compose:{'0123456789abcdef' * 4}\n")
    guarded = make_exporter("--source", "replay", "--api.token-file", str(tokens))
    assert preflight("JOULEMARK_PORT", JOULEMARK_PORT=guarded.url.rpartition(":")[2]) == ""


@pytest.mark.parametrize("port", ["9871-9879", "", "100000"])
def test_what_is_no_port_is_left_to_the_engine(port: str) -> None:
    assert preflight("JOULEMARK_PORT", JOULEMARK_PORT=port) == ""


def test_grafana_is_known_by_a_board_that_it_has() -> None:
    board = json.loads((ROOT / "grafana" / "dashboards" / "pipelines.json").read_text())
    assert f'"/api/dashboards/uid/{board["uid"]}"' in SCRIPT.read_text()


def test_an_address_that_the_machine_lacks_is_named_once() -> None:
    ports = {name: str(free_port()) for name in PORTS}
    said = preflight(*PORTS, JOULEMARK_BIND="192.0.2.1", **ports)
    assert said.startswith("wrong: 192.0.2.1 is no address of this machine")
    assert "JOULEMARK_BIND" in said
    assert said.count("wrong:") == 1


def machine(tmp_path: Path, driver: bool, toolkit: bool, kernel: str = "Linux version 6.1") -> str:
    """The script on another machine."""
    (tmp_path / "version").write_text(kernel)
    (tmp_path / "driver").write_text("NVRM version") if driver else None
    (tmp_path / "nvidia-ctk").write_text("") if toolkit else None
    text = SCRIPT.read_text()
    for path, name in (("/proc/driver/nvidia/version", "driver"), ("/machine/bin", ""), ("/proc/version", "version")):
        assert f'"{path}"' in text
        text = text.replace(f'"{path}"', f'"{tmp_path / name}"')
    return text


@pytest.mark.parametrize(
    ("driver", "toolkit", "kernel", "said"),
    [
        (False, False, "Linux version 6.1", "has no NVIDIA driver loaded"),
        (True, False, "Linux version 6.1", "no NVIDIA Container Toolkit in /usr/bin"),
        (True, True, "Linux version 6.1", ""),
        (False, False, "Linux version 5.15.167.4-microsoft-standard-WSL2", ""),
    ],
)
def test_what_gpus_lack_is_named(tmp_path: Path, driver: bool, toolkit: bool, kernel: str, said: str) -> None:
    words = preflight("nvidia", script=machine(tmp_path, driver, toolkit, kernel))
    assert words.startswith("wrong: compose.gpu.yaml asks for NVIDIA GPUs") if said else words == ""
    assert said in words
    assert not said or "or leave compose.gpu.yaml out" in words


# The last of the old ones, which many distributions still carry; only packages of its own time fit it.
OLD_COMPOSE = [
    "docker-compose==1.29.2", "jsonschema<4", "pyrsistent", "cached-property", "distro", "docopt", "dockerpty",
    "texttable", "websocket-client", "python-dotenv<1",
]  # fmt: skip


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="docker-compose 1.29 knows no Python 3.12")
def test_an_old_compose_says_that_it_is_too_old(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), *OLD_COMPOSE]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"docker-compose 1.29 cannot be installed here: {done.stderr[-200:]}")
    command = [sys.executable, "-W", "ignore", "-c", "from compose.cli.main import main; main()", "up"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    first = done.stderr.splitlines()[0]
    assert first.endswith(
        "this Compose is too old, install 2.24 or later, see https://docs.docker.com/compose/install/"
    )
