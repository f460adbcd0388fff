"""`joulemark check`: the first lines say whether a job can book its joules here, and what to do where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter, free_port

TOKEN = "0123456789abcdef0123456789abcdef"


def check(url: str, *options: str, **environment: str) -> tuple[int, str]:
    """Exit code and what it said."""
    command = [sys.executable, "-c", "from joulemark.cli import main; main()", "check", *options]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("JOULEMARK_")}
    env = {**clean, "JOULEMARK_URL": url, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.fixture
def guarded(make_exporter: Callable[..., Exporter], tmp_path: Path) -> Exporter:
    """An exporter that wants a token."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"job:{TOKEN}\n")
    return make_exporter("--source", "replay", "--api.token-file", str(tokens))


def test_all_is_well(exporter: Exporter, tmp_path: Path) -> None:
    code, said = check(exporter.url, "--write", "--folder", str(tmp_path))
    assert code == 0, said
    assert said.count("ok:") == 4
    assert exporter.http.get("/api/v1/windows").json() == []


def test_the_token_is_taken_from_a_file_and_a_wrong_one_is_told(guarded: Exporter, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert check(guarded.url, "--write", JOULEMARK_TOKEN_FILE=str(file))[0] == 0
    for environment in ({}, {"JOULEMARK_TOKEN": "x" * 32}):
        code, said = check(guarded.url, "--write", **environment)
        assert code == 1
        assert "token is wrong or missing" in said
        assert "JOULEMARK_TOKEN_FILE" in said
    assert check(guarded.url)[0] == 0, "reading needs none"


def test_nobody_there(tmp_path: Path) -> None:
    code, said = check(f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "Connection refused" in said
    assert "JOULEMARK_URL" in said


def test_a_folder_that_cannot_be_written(exporter: Exporter, tmp_path: Path) -> None:
    code, said = check(exporter.url, "--folder", str(tmp_path / "none"))
    assert code == 1
    assert said.startswith("not well:")
    assert "chown" in said


@pytest.mark.parametrize(("ahead", "words"), [(300.0, "300 s ahead of"), (-60.0, "60 s behind")])
def test_another_clock_is_told_but_is_no_failure(ahead: float, words: str) -> None:
    class Devices(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps([{"up": True, "last_read_at": time.time() - ahead}]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Devices)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        code, said = check(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert code == 0
    assert f"this clock is {words} the exporter's" in said
    assert "NTP" in said
