"""The output folder of the paper's harness as a run, without that harness's known faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports.foreign_files import NOTHING_SAID, harness_stage, joules, put

from joulemark.imports import ImportFailed
from joulemark.imports.harness import harness_run
from joulemark.imports.stage_map import StageMap


def test_the_harness_folder_is_a_run_with_its_stages_told_apart(tmp_path: Path) -> None:
    caching = harness_stage("logit_caching_kd")
    for name in ("logit_caching_kd.json", "logit_caching_kd/logit_caching_kd.json"):
        put(tmp_path, name, caching)
    put(tmp_path, "logit_caching_kd/config_x.json", {"stage_id": "logit_caching_kd", "config": {}})
    put(tmp_path, "logit_caching_kd/experiment_summary.json", {"stages": {}})
    put(tmp_path, "tulu_preprocess_dataset.json", harness_stage("tulu_preprocess_dataset", start_time=900.0))
    put(tmp_path, "student_train.json", harness_stage("student_train", start_time=1200.0, end_time=1300.0))
    run = harness_run([tmp_path], "kd-1b", NOTHING_SAID, {"pipeline": "kd"})
    assert (run.origin, run.importer) == ("measured", "harness")
    assert joules(run) == {
        ("data", "preprocessing"): 22000.0, ("teacher", "logit_caching"): 22000.0, ("student", ""): 22000.0,
    }  # fmt: skip
    tokens = {stage.stage: dict(stage.tokens) for stage in run.stages}
    assert tokens == {"data": {}, "teacher": {"cached": 5000}, "student": {"trained": 5000}}, "examples are no tokens"
    assert run.stages[1].peak_watts == 368.4
    whole = harness_run([tmp_path], "kd-1b", NOTHING_SAID, {}, with_estimates=True)
    assert whole.origin == "modelled"
    assert joules(whole)["student", ""] == 25000.0


def test_of_the_harness_snapshots_the_last_counts_and_a_resumed_stage_adds(tmp_path: Path) -> None:
    for step in (200, 10200, 1000):
        sums = {"end_time": 1000.0 + step, "gpu_energy_joules": float(step), "tokens_processed": step}
        put(tmp_path, f"train/train__step_{step}.json", harness_stage("kd_train", **sums))
    resumed = {"start_time": 20000.0, "end_time": 20100.0, "gpu_energy_joules": 500.0, "tokens_processed": 7}
    put(tmp_path, "train/resumed.json", harness_stage("kd_train", **resumed))
    run = harness_run([tmp_path], "kd", NOTHING_SAID, {})
    assert joules(run) == {("student", ""): 10700.0}
    assert run.stages[0].tokens == {"trained": 10207}


def test_a_harness_stage_named_after_its_experiment_must_be_said(tmp_path: Path) -> None:
    put(tmp_path, "a.json", harness_stage("kd_olmo2_32b_to_1b_alpha08"))
    with pytest.raises(ImportFailed, match=r"'kd_olmo2_32b_to_1b_alpha08' is no stage that is known"):
        harness_run([tmp_path], "kd", NOTHING_SAID, {})
    said = StageMap.parse(["kd_olmo2_32b_to_1b_alpha08=student/kd"])
    assert joules(harness_run([tmp_path], "kd", said, {})) == {("student", "kd"): 22000.0}


def test_what_is_no_harness_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="no stage of the harness under"):
        harness_run([tmp_path], "kd", NOTHING_SAID, {})
    put(tmp_path, "train.json", harness_stage("train", gpu_energy_joules="many"))
    with pytest.raises(ImportFailed, match="gpu_energy_joules is 'many'"):
        harness_run([tmp_path], "kd", NOTHING_SAID, {})
    put(tmp_path, "train.json", harness_stage("train", gpu_energy_joules=0.0))
    with pytest.raises(ImportFailed, match="nothing measured"):
        harness_run([tmp_path], "kd", NOTHING_SAID, {})
    (tmp_path / "stages" / "train.json").write_text("{")
    with pytest.raises(ImportFailed, match=r"train.json cannot be read"):
        harness_run([tmp_path], "kd", NOTHING_SAID, {})
