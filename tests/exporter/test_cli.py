"""The command line: exec passes codes and signals through, settings name their culprit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exporter_process import Exporter, free_port

JOULEMARK = [sys.executable, "-c", "from joulemark.cli import main; main()"]


def joulemark(*argv: str, url: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JOULEMARK_URL": url, "COLUMNS": "200", **env}
    return subprocess.run([*JOULEMARK, *argv], capture_output=True, text=True, env=environment, timeout=60)


def test_exec_books_a_command_and_passes_its_output_and_exit_code_through(exporter: Exporter) -> None:
    done = joulemark(
        "exec", "--run", "r1", "--stage", "teacher", "--phase", "generation", "--",
        "sh", "-c", "echo out; sleep 0.4; exit 7", url=exporter.url,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "run r1 stage teacher" in done.stderr
    assert "±" in done.stderr
    assert "(modelled)" in done.stderr
    stage = exporter.http.get("/api/v1/runs/r1").json()["stages"][0]
    assert (stage["stage"], stage["phase"]) == ("teacher", "generation")
    assert stage["joules"] > 0


def test_exec_passes_signals_through(exporter: Exporter) -> None:
    environment = {**os.environ, "JOULEMARK_URL": exporter.url}
    argv = [*JOULEMARK, "exec", "--run", "r1", "--stage", "teacher", "--", "sleep", "30"]
    child = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not exporter.http.get("/api/v1/stage").json() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=10) == -signal.SIGTERM
    assert exporter.http.get("/api/v1/stage").json() == []


def test_exec_runs_the_command_even_without_an_exporter() -> None:
    done = joulemark("exec", "--run", "r", "--stage", "data", "--", "true", url=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0
    assert "the exporter did not answer" in done.stderr


def test_exec_names_a_command_that_does_not_exist(exporter: Exporter) -> None:
    done = joulemark("exec", "--run", "r", "--stage", "data", "--", "no-such-command", url=exporter.url)
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_stages_by_hand(exporter: Exporter) -> None:
    assert joulemark("stage", "set", "r1", "data", url=exporter.url).returncode == 0
    assert "data" in joulemark("stage", "list", url=exporter.url).stdout
    switched = joulemark("stage", "set", "r1", "student", url=exporter.url)
    assert "stage data" in switched.stderr
    ended = joulemark("stage", "end", "--run", "r1", url=exporter.url)
    assert "stage student" in ended.stderr
    assert "r1" in joulemark("runs", url=exporter.url).stdout


def test_a_missing_exporter_is_named_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = joulemark("runs", url=url)
    assert done.returncode == 2
    assert url in done.stderr
    assert "joulemark serve" in done.stderr


@pytest.mark.parametrize(
    ("argv", "environment", "words"),
    [
        (["--source", "magic"], {}, "--source: 'magic'"),
        ([], {"JOULEMARK_SAMPLE_INTERVAL": "soon"}, "JOULEMARK_SAMPLE_INTERVAL: 'soon'"),
        (["--web.listen-address", "9871"], {}, "--web.listen-address"),
        (["--sample-interval", "1ms"], {}, "10ms to 1s"),
        (["--config.file", "/nonexistent.yml"], {}, "/nonexistent.yml"),
        (["--source", "nvml_counter"], {}, "NVML"),
    ],
)
def test_an_impossible_setting_is_one_line_that_names_it(
    argv: list[str], environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    address = ["--web.listen-address", f"127.0.0.1:{free_port()}"]
    done = joulemark("serve", *address, "--state-dir", str(tmp_path / "s"), *argv, **environment)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "joulemark.yml"
    config.write_text("source: replay\ncolour: blue\n")
    done = joulemark("serve", "--config.file", str(config))
    assert done.returncode == 2
    assert "unknown key 'colour'" in done.stderr
    assert "web.listen-address" in done.stderr


def test_a_ledger_is_reported_without_a_server(exporter: Exporter) -> None:
    assert joulemark("exec", "--run", "r1", "--stage", "data", "--", "sleep", "0.3", url=exporter.url).returncode == 0
    exporter.terminate()
    table = joulemark("report", "--ledger", str(exporter.state_dir))
    assert "r1" in table.stdout
    assert "MODELLED" in table.stdout
    rows = joulemark("report", "r1", "--ledger", str(exporter.state_dir), "--format", "csv").stdout.splitlines()
    assert float(dict(zip(rows[0].split(","), rows[1].split(","), strict=True))["joules"]) > 0
    unknown = joulemark("report", "r2", "--ledger", str(exporter.state_dir))
    assert unknown.returncode == 2
    assert "no run 'r2' here; known: r1" in unknown.stderr
    missing = joulemark("report", "--ledger", str(exporter.state_dir / "elsewhere"))
    assert "no ledger at" in missing.stderr


def test_a_name_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    done = joulemark("report", "--ledger", str(tmp_path / "[/red]state"))
    assert done.returncode == 2
    assert "[/red]state" in done.stderr


def test_help_names_every_setting() -> None:
    text = joulemark("serve", "--help", NO_COLOR="1").stdout
    for flag in ("--web.listen-address", "--state-dir", "--source", "--sample-interval", "--keep-runs"):
        assert flag in text
