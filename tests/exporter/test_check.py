"""`joulemark check`: the first lines say whether a job can book its joules here, and what to do where it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter, free_port

TOKEN = "0123456789abcdef0123456789abcdef"


def check(url: str, *options: str, first: str = "", **environment: str) -> tuple[int, str]:
    """Exit code and what it said; `first` is done in its process beforehand."""
    command = [sys.executable, "-c", f"{first}from joulemark.cli import main; main()", "check", *options]
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


@pytest.mark.parametrize(("ahead", "words"), [(900, "ahead of"), (-900, "behind")])
def test_another_clock_is_told_but_is_no_failure(exporter: Exporter, ahead: int, words: str) -> None:
    other_clock = f"import time; true = time.time; time.time = lambda: true() + {ahead};"
    code, said = check(exporter.url, first=other_clock)
    assert code == 0
    found = re.search(rf"beware: this clock is (\d+) s {words} the exporter's", said)
    assert found
    # The devices were read a moment before.
    assert abs(int(found[1]) - abs(ahead)) < 60
    assert "NTP" in said
