"""The client inside a job: books stages through a real exporter, and never harms the job when there is none."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings

import pytest
from exporter_process import Exporter, free_port

import joulemark


def stages_of(exporter: Exporter, run: str) -> dict[tuple[str, str], dict[str, object]]:
    record = exporter.http.get(f"/api/v1/runs/{run}").json()
    return {(stage["stage"], stage["phase"]): stage for stage in record["stages"]}


def test_stages_tokens_scores_and_artifacts_are_booked(exporter: Exporter) -> None:
    with joulemark.run("kd-1", url=exporter.url, strict=True, pipeline="kd", teacher="T") as run:
        with run.stage("teacher", phase="logit_caching") as stage:
            stage.add_tokens(cached=4096)
            stage.add_tokens(cached=1)
            time.sleep(0.3)
        run.score("gsm8k", 0.41, reference=0.62, n=1319)
        run.artifact("sha256:abc", kind="logit_cache", role="produced")
        watts = run.power_watts()
        assert watts is not None
        assert watts["gpu0"] in (70, 310, 180)
    assert stage.summary is not None
    assert stage.summary["tokens"] == {"cached": 4097}
    for _ in exporter.until("the counter has shown the stage's joules"):
        if stages_of(exporter, "kd-1")["teacher", "logit_caching"]["joules"]:
            break
    record = exporter.http.get("/api/v1/runs/kd-1").json()
    assert record["pipeline"] == "kd"
    assert record["artifacts"] == [{"artifact": "sha256:abc", "kind": "logit_cache", "role": "produced"}]


def test_a_stage_inside_a_stage_suspends_the_outer_one(exporter: Exporter) -> None:
    with joulemark.run("kd-1", url=exporter.url, strict=True) as run, run.stage("student") as student:
        time.sleep(0.2)
        with run.stage("eval"):
            time.sleep(0.6)
            states = {x["stage"]: x["state"] for x in exporter.http.get("/api/v1/stage").json()}
        time.sleep(0.2)
    assert states == {"student": "suspended", "eval": "active"}
    assert student.summary is not None
    assert student.summary["seconds"] < 0.6 <= stages_of(exporter, "kd-1")["eval", ""]["seconds"]  # type: ignore[operator]


def test_what_fails_is_told_apart_and_keeps_its_joules(exporter: Exporter) -> None:
    run = joulemark.run("kd-1", url=exporter.url, strict=True)

    @run.stage("teacher")
    def fails() -> None:
        time.sleep(0.5)
        raise ZeroDivisionError

    with run, pytest.raises(ZeroDivisionError):
        fails()
    with joulemark.run("kd-1", url=exporter.url, strict=True) as again:
        with again.stage("student") as stage:
            stage.fail()
        with pytest.raises(SystemExit), again.stage("eval"):
            raise SystemExit(0)
    states = {window["stage"]: window["state"] for window in exporter.http.get("/api/v1/windows").json()}
    assert states == {"teacher": "failed", "student": "failed", "eval": "ended"}
    for _ in exporter.until("the failed stage's joules are there"):
        if stages_of(exporter, "kd-1")["teacher", ""]["joules"]:
            break


def test_without_an_exporter_the_job_goes_on_with_one_warning() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with joulemark.run("kd-1", url=url) as run:
            for _ in range(3):
                with run.stage("teacher") as stage:
                    stage.add_tokens(cached=1)
            assert run.power_watts() is None
    assert len([w for w in caught if "the job goes on" in str(w.message)]) == 1
    assert run.missed > 0
    assert stage.summary is None


def test_strict_turns_a_failure_into_an_exception() -> None:
    with pytest.raises(joulemark.ClientError, match="no exporter at"):
        joulemark.run("kd-1", url=f"http://127.0.0.1:{free_port()}", strict=True)


def test_wrong_names_are_refused_before_anything_is_sent(exporter: Exporter) -> None:
    with pytest.raises(joulemark.JoulemarkError, match="run name"):
        joulemark.run("no spaces", url=exporter.url)
    with joulemark.run("kd-1", url=exporter.url) as run:
        with pytest.raises(joulemark.JoulemarkError, match="stage name"):
            run.stage("Teacher")
        with run.stage("teacher") as stage, pytest.raises(joulemark.JoulemarkError, match="token kind"):
            stage.add_tokens(examples=3)


def test_an_exporter_killed_in_a_stage_and_started_again_goes_on_with_it(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("joulemark.client.timing.BEAT_SECONDS", 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with joulemark.run("kd-1", url=exporter.url) as run:
            with run.stage("teacher") as teacher:
                teacher.add_tokens(cached=10)
                time.sleep(0.5)
                exporter.kill()
                teacher.add_tokens(cached=5)
                time.sleep(0.4)
                exporter.start()
            exporter.kill()
            with run.stage("student") as student:  # begins while nobody answers
                student.add_tokens(trained=7)
                exporter.start()
                time.sleep(1.0)
    stages = stages_of(exporter, "kd-1")
    assert stages["teacher", ""]["tokens"] == {"cached": 15}
    assert stages["student", ""]["tokens"] == {"trained": 7}


def test_the_client_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import joulemark; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - {'joulemark'}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_all_is_complete() -> None:
    public = {name for name, value in vars(joulemark).items() if not name.startswith("_") and callable(value)}
    assert public == set(joulemark.__all__)
