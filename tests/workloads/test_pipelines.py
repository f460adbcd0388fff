"""The pipelines on a tiny model under a real exporter: every stage is booked, artifacts are shared, faults end well."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter
from forked import Forked

from joulemark_workloads.config import PHASES, cells_of, phases_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.phases.record import Record
from joulemark_workloads.phases.sequence import run_phases
from joulemark_workloads.sweep.runner import Options, run_cells

TOKENS = 16 * 32
SLOW = ["--run", "kd-1", "--set", "data.train_blocks=600", "--set", "logit_cache.blocks_per_shard=1"]


@pytest.fixture
def exporter(make_exporter: Callable[..., Exporter]) -> Exporter:
    return make_exporter("--source", "cpu_model")


def bill(exporter: Exporter, run: str) -> dict[str, dict[str, int]]:
    """Tokens by stage and phase."""
    record = exporter.http.get(f"/api/v1/runs/{run}").json()
    return {f"{stage['stage']}/{stage['phase']}": stage["tokens"] for stage in record["stages"]}


def record_of(exporter: Exporter, run: str) -> Any:
    return exporter.http.get(f"/api/v1/runs/{run}").json()


def run_one(exporter: Exporter, config: Path, work: Path, name: str, *settings: str, **options: Any) -> Record:
    (cell,) = cells_of(read_document(config, settings))
    return run_phases(cell, name, work, url=exporter.url, **options)


def start(exporter: Exporter, config: Path, work: Path, *argv: str) -> Forked:
    work.mkdir(exist_ok=True)
    return Forked(work / "output.txt", str(config), "--work-dir", str(work), "--url", exporter.url, *argv)


def wait_for_shards(folder: Path, process: Forked) -> None:
    """Until a SLOW run is in the middle of logit caching."""
    deadline = time.monotonic() + 240
    while len(list(folder.glob("*/*.json"))) < 4 and time.monotonic() < deadline and process.runs:
        time.sleep(0.02)


def test_a_process_that_trains_nothing_does_not_load_what_trains(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    argv = [str(experiment_file("sft")), "--work-dir", str(tmp_path), "--url", exporter.url, "--phase", "data"]
    script = (
        "import sys; from joulemark_workloads.__main__ import app\n"
        f"try: app({argv})\n"
        "except SystemExit: pass\n"
        "print('transformers.trainer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert set(bill(exporter, "sft-t")) == {"data/"}


def test_each_pipeline_books_every_stage_with_its_tokens(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = experiment_file("sft", "kd", "synthetic_sft", more="")
    settings = ["training.evaluate_every_steps=2", "training.save_every_steps=2", "evaluation.tasks=[facts]"]
    cells = cells_of(read_document(config, [*settings, "evaluation.limit=4"]))
    outcome = run_cells(cells, Options(tmp_path / "work", "t", url=exporter.url))
    assert not outcome.failed
    sft, kd, synthetic = (bill(exporter, f"{name}-t") for name in ("sft", "kd", "synthetic_sft"))
    common = {
        "prerun/idle", "prerun/burn_in", "data/", "student/init", "student/checkpoint", "eval/validation", "eval/load",
        "eval/heldout", "eval/facts", "eval/serving_warmup", "eval/serving",
    }  # fmt: skip
    assert set(sft) == {*common, "student/sft"}
    assert set(kd) == {*common, "student/kd", "teacher/load", "teacher/logit_caching"}
    assert {*common, "student/synthetic_sft", "teacher/load", "teacher/generation", "data/pack"} <= set(synthetic)
    assert sft["student/sft"] == kd["student/kd"] == {"trained": TOKENS}
    assert kd["teacher/logit_caching"] == {"cached": TOKENS}
    assert sft["eval/heldout"] == {"evaluated": 4 * 32}
    assert sft["eval/validation"] == {"evaluated": 2 * 4 * 32}
    assert sft["eval/serving"] == {"generated": 2 * 4}
    assert sft["data/"]["prompt"] >= 20 * 32
    generated = sum(tokens.get("generated", 0) for stage, tokens in synthetic.items() if stage.startswith("teacher"))
    assert generated == outcome.records["synthetic_sft-t"].facts("teacher")["tokens"] > 0
    assert synthetic["student/synthetic_sft"]["trained"] == synthetic["data/pack"]["prompt"]
    assert record_of(exporter, "kd-t")["baseline"] == "sft-t"
    assert record_of(exporter, "kd-t")["idle_watts"]["cpu0"] > 0


def test_scores_come_with_the_teachers_and_what_serving_it_costs(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    record = run_one(
        exporter, experiment_file("sft"), tmp_path, "sft-1", "evaluation.tasks=[facts]", "evaluation.limit=6"
    )
    run = record_of(exporter, "sft-1")
    scores = {score["benchmark"]: score for score in run["scores"]}
    assert set(scores) == {"facts", "heldout_token_probability"}
    assert (scores["facts"]["n"], scores["heldout_token_probability"]["n"]) == (6, 4)
    assert {name: score["stderr"] for name, score in scores.items()} == {
        name: score["stderr"] for name, score in record.facts("eval")["scores"].items()
    }
    assert scores["heldout_token_probability"]["stderr"] > 0
    reference = record_of(exporter, run["reference"])
    assert reference["pipeline"] == "reference"
    assert reference["student"] == run["teacher"]
    assert not reference["scores"]
    assert bill(exporter, run["reference"])["eval/serving"] == {"generated": 2 * 4}
    kept = record.facts("eval")["reference"]["scores"]
    assert {name: score["reference"] for name, score in scores.items()} == {n: s["score"] for n, s in kept.items()}
    untrained = next(r for r in exporter.http.get("/api/v1/runs").json() if r["run"].startswith("untrained-t-"))
    assert {score["benchmark"] for score in record_of(exporter, untrained["run"])["scores"]} == set(scores)
    assert record.facts("eval")["heldout_loss"] < record.facts("eval")["untrained_heldout_loss"]


def test_a_second_run_reuses_what_the_first_paid_for(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for pipeline in ("kd", "synthetic_sft"):
        config = experiment_file(pipeline)
        first = run_one(exporter, config, tmp_path, f"{pipeline}-1")
        second = run_one(exporter, config, tmp_path, f"{pipeline}-2", "training.seed=1")
        assert f"made by {pipeline}-1" in capsys.readouterr().out
        assert not any(stage.startswith("teacher") for stage in bill(exporter, f"{pipeline}-2"))
        assert first.facts("teacher")["artifact"] == second.facts("teacher")["artifact"]
        roles = [{a["role"] for a in record_of(exporter, f"{pipeline}-{n}")["artifacts"]} for n in (1, 2)]
        assert roles == [{"produced", "consumed"}, {"consumed"}]
    references = [r for r in exporter.http.get("/api/v1/runs").json() if r["run"].startswith("reference-")]
    assert len(references) == 1


@pytest.mark.parametrize("pipeline", ["sft", "kd", "synthetic_sft"])
def test_phases_in_processes_of_their_own_give_the_same_results_and_the_same_bill(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path, pipeline: str
) -> None:
    config = experiment_file(pipeline)
    whole = run_one(exporter, config, tmp_path / "a", "whole")
    (cell,) = cells_of(read_document(config))
    alone = [("teacher",)] if "teacher" in phases_of(cell.pipeline) else []
    for phases in (("prerun", "data"), *alone, ("student", "eval")):
        asked = [word for phase in phases for word in ("--phase", phase)]
        start(exporter, config, tmp_path / "b", "--run", "apart", *asked).finish()
    apart = Record(tmp_path / "b" / "runs" / "apart", "apart", cell)
    for phase in phases_of(cell.pipeline):
        if phase in ("teacher", "student"):
            key = "artifact" if phase == "teacher" else "weights"
            assert apart.facts(phase)[key] == whole.facts(phase)[key]
    assert apart.facts("eval")["heldout_loss"] == whole.facts("eval")["heldout_loss"]
    assert bill(exporter, "apart") == bill(exporter, "whole")


def test_the_record_says_with_what_it_was_made(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    record = run_one(exporter, experiment_file("sft"), tmp_path, "sft-1", "training.seed=7", phases=("data",))
    kept = json.loads((record.folder / "record.json").read_text())
    assert kept["config"]["training"]["seed"] == 7
    environment = kept["phases"]["data"]["environment"]
    assert {"torch", "transformers", "datasets", "joulemark"} <= set(environment["packages"])
    assert environment["cpu"]["threads"] >= 1
    assert set(environment["git"]) == {"commit", "changed"}
    assert kept["phases"]["data"]["facts"]["train"].startswith("sha256:")
    assert [(line["stage"], line["tokens"]) for line in kept["phases"]["data"]["bill"]] == [
        ("data", {"prompt": kept["phases"]["data"]["facts"]["tokens"]})
    ]


def test_a_run_is_not_gone_on_with_as_another(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    run_one(exporter, experiment_file("sft"), tmp_path, "sft-1", phases=("data",))
    with pytest.raises(WorkloadError, match=r"another configuration \(training\.seed: 0 there, 3 asked for\)"):
        run_one(exporter, experiment_file("sft"), tmp_path, "sft-1", "training.seed=3")
    with pytest.raises(WorkloadError, match="has no data yet: run it first, with --phase data"):
        run_one(exporter, experiment_file("sft"), tmp_path, "sft-2", phases=("student",))


def test_a_killed_teacher_goes_on_where_it_was_and_its_joules_are_kept(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = experiment_file("kd")
    process = start(exporter, config, tmp_path, *SLOW)
    folder = tmp_path / "artifacts" / "logit_cache"
    wait_for_shards(folder, process)
    process.kill()
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.arrow") if path.with_suffix(".json").exists()}
    assert 0 < len(made) < 600
    before = record_of(exporter, "kd-1")["joules"]
    output = start(exporter, config, tmp_path, *SLOW, "--phase", "teacher").finish()
    assert "going on with cached teacher logits" in output
    assert all(path.stat().st_mtime_ns == written for path, written in made.items())
    assert len(list(folder.glob("*/*.arrow"))) == 600
    assert record_of(exporter, "kd-1")["joules"] >= before > 0


def test_a_run_that_is_told_to_end_ends_its_stage_at_once(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    process = start(exporter, experiment_file("kd"), tmp_path, *SLOW)
    wait_for_shards(tmp_path / "artifacts" / "logit_cache", process)
    assert process.terminate() == 130
    assert "what is on disk is kept" in (tmp_path / "output.txt").read_text()
    assert exporter.http.get("/api/v1/stage").json() == []
    states = {window["phase"]: window["state"] for window in exporter.http.get("/api/v1/windows?run=kd-1").json()}
    assert states["logit_caching"] == "failed"


def test_what_was_ignored_before_it_began_stays_so() -> None:
    script = (
        "import os, signal; from joulemark_workloads.termination import interrupt_when_terminated as prepare\n"
        "prepare(); os.kill(os.getpid(), signal.SIGHUP); print('goes on', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "nohup", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "goes on\n"
    assert "Terminated" in done.stderr


def test_a_failed_phase_is_closed_with_its_joules_and_tried_again(
    exporter: Exporter, experiment_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment_file("sft")

    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    with monkeypatch.context() as broken:
        broken.setattr("transformers.LlamaForCausalLM.forward", explode)
        with pytest.raises(WorkloadError, match=r"student: out of memory .*lower training\.micro_batch_blocks"):
            run_one(exporter, config, tmp_path, "sft-1")
    assert exporter.http.get("/api/v1/stage").json() == []
    failed = record_of(exporter, "sft-1")
    states = {window["phase"]: window["state"] for window in exporter.http.get("/api/v1/windows?run=sft-1").json()}
    assert states["sft"] == "failed"
    assert "student/sft" in bill(exporter, "sft-1")
    kept = json.loads((tmp_path / "runs" / "sft-1" / "record.json").read_text())["phases"]["student"]
    assert kept["state"] == "failed"
    assert "out of memory" in kept["error"]
    record = run_one(exporter, config, tmp_path, "sft-1")
    assert record.has("eval")
    assert record_of(exporter, "sft-1")["joules"] > failed["joules"]
    assert all(record.has(phase) for phase in PHASES if phase != "teacher")


def test_without_an_exporter_the_work_is_done_all_the_same(
    experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    (cell,) = cells_of(read_document(experiment_file("kd")))
    with pytest.warns(RuntimeWarning, match="no exporter"):
        record = run_phases(cell, "kd-1", tmp_path, url="http://127.0.0.1:9")
    assert record.has("eval")
