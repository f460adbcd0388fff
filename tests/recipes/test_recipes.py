"""The recipes of the documents are run as they are, Slurm's variables set by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exporter_process import Exporter, free_port

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
SCRIPTS = sorted(RECIPES.glob("*.sh"))


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """An environment in which `joulemark` is a command."""
    program = tmp_path / "bin" / "joulemark"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from joulemark.cli import main; main()' \"$@\"\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def run(name: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(RECIPES / name), *arguments], env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    checker = shutil.which("shellcheck") or str(Path(sys.executable).parent / "shellcheck")
    done = subprocess.run([checker, "--severity=style", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_slurm_books_a_job_from_prolog_to_epilog(exporter: Exporter, tools: dict[str, str]) -> None:
    env = {**tools, "JOULEMARK_URL": exporter.url, "SLURM_JOB_ID": "77", "SLURM_JOB_GPUS": "0"}
    assert run("slurm-prolog.sh", env=env).returncode == 0
    (window,) = exporter.http.get("/api/v1/stage").json()
    assert (window["run"], window["stage"], window["devices"]) == ("slurm-77", "job", ["gpu0"])
    assert window["lease_seconds"] == 86_400
    exports = run("slurm-task-prolog.sh", env=env).stdout.splitlines()
    inside = env | dict(line.removeprefix("export ").split("=", 1) for line in exports)
    code = "import joulemark\nwith joulemark.run(strict=True) as run, run.stage('student'): pass"
    subprocess.run([sys.executable, "-c", code], env=inside, check=True, timeout=60)
    assert run("slurm-epilog.sh", env=env).returncode == 0
    assert exporter.http.get("/api/v1/stage").json() == []
    stages = exporter.http.get("/api/v1/runs/slurm-77").json()["stages"]
    assert {stage["stage"]: stage["windows"] for stage in stages} == {"job": 1, "student": 1}


def test_a_job_that_books_itself_is_left_alone(exporter: Exporter, tools: dict[str, str]) -> None:
    env = {**tools, "JOULEMARK_URL": exporter.url, "SLURM_JOB_ID": "78", "SLURM_JOB_COMMENT": "joulemark=off"}
    assert run("slurm-prolog.sh", env=env).returncode == 0
    assert exporter.http.get("/api/v1/stage").json() == []


@pytest.mark.parametrize("script", ["slurm-prolog.sh", "slurm-epilog.sh", "slurm-task-prolog.sh"])
def test_without_an_exporter_no_node_is_drained(script: str, tools: dict[str, str]) -> None:
    env = {**tools, "JOULEMARK_URL": f"http://127.0.0.1:{free_port()}", "SLURM_JOB_ID": "79"}
    assert run(script, env=env).returncode == 0


def test_cron_passes_the_exit_code_on(exporter: Exporter, tools: dict[str, str]) -> None:
    done = run("nightly.sh", "sh", "-c", "exit 6", env={**tools, "JOULEMARK_URL": exporter.url})
    assert (done.returncode, done.stdout) == (6, "")
    assert "±" in done.stderr


def test_make_books_every_target(exporter: Exporter, tools: dict[str, str]) -> None:
    env = {**tools, "JOULEMARK_URL": exporter.url}
    goal = ["RUN=kd-1", "PREPARE=true", "CACHE=true", "TRAIN=true", "student"]
    subprocess.run(["make", "-f", str(RECIPES / "Makefile"), *goal], env=env, check=True, timeout=120)
    stages = exporter.http.get("/api/v1/runs/kd-1").json()["stages"]
    assert [(stage["stage"], stage["phase"]) for stage in stages] == [
        ("data", ""), ("teacher", "logit_caching"), ("student", "")
    ]  # fmt: skip
