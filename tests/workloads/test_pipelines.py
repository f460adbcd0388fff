"""Both pipelines on the real model at a very small size, under a real exporter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
name: test
teacher: SmolLM2-135M-Instruct
student: {layers: 2}
data: {block_tokens: 64, train_blocks: 8, heldout_blocks: 2}
prerun: {idle_seconds: 0.5, burn_in_seconds: 0.2}
logit_cache: {top_k: 16, blocks_per_shard: 4}
training: {micro_batch_blocks: 2, gradient_accumulation: 2, warmup_steps: 1}
evaluation: {tasks: [facts], limit: 4}
"""


@pytest.mark.model
def test_both_pipelines_book_every_stage_and_a_second_kd_reuses_the_cache(
    make_exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    work = tmp_path / "work"
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)

    def run(pipeline: str, name: str) -> tuple[dict[str, Any], dict[tuple[str, str], Any], str]:
        command = [
            sys.executable, "-m", "joulemark_workloads", "run", "--config", str(tmp_path / "experiment.yaml"),
            "--pipeline", pipeline, "--run", name, "--work-dir", str(work), "--url", exporter.url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        record = exporter.http.get(f"/api/v1/runs/{name}").json()
        result = json.loads((work / "runs" / name / "result.json").read_text())
        return result, {(s["stage"], s["phase"]): s for s in record["stages"]}, done.stdout

    result, sft, _ = run("sft", "sft-1")
    assert not any(stage == "teacher" for stage, _ in sft)
    assert sft["student", "sft"]["tokens"] == {"trained": 8 * 64}
    assert sft["data", ""]["tokens"]["prompt"] > 100_000
    assert sft["eval", "benchmarks"]["tokens"]["evaluated"] > 2 * 64
    assert result["heldout_loss"] < result["untrained_heldout_loss"]

    _, kd, _ = run("kd", "kd-1")
    assert kd["teacher", "logit_caching"]["tokens"] == {"cached": 8 * 64}
    assert kd["teacher", "logit_caching"]["joules"] > 0
    assert kd["student", "kd"]["tokens"] == {"trained": 8 * 64}

    _, again, output = run("kd", "kd-2")
    assert not any(stage == "teacher" for stage, _ in again)
    assert "reusing cached teacher logits" in output
    roles = {(a["role"]) for a in exporter.http.get("/api/v1/runs/kd-2").json()["artifacts"]}
    assert roles == {"consumed"}
    idle = exporter.http.get("/api/v1/runs/kd-2").json()["idle_watts"]
    assert 0 < idle["cpu0"] < 1000
