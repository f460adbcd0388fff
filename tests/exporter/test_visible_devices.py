"""Which devices a stage holds when the job names them as CUDA does, and when CUDA sees only some of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter, wait_for
from hypothesis import given
from hypothesis import strategies as st

import joulemark
from joulemark.errors import ClientError
from joulemark.visible_devices import DeviceNames, MigInstance, resolve, visible_gpus

KNOWN = {
    "gpu0": "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
    "gpu1": "GPU-8932f940-0000-4106-c12f-20bd9faed9f6",
    "gpu2": "GPU-1f2e3d4c-0000-4106-c12f-20bd9faed9f6",
    "cpu0": "intel-rapl:0",
    "dram0": "intel-rapl:0:0",
}
GPUS = ["gpu0", "gpu1", "gpu2"]


@pytest.mark.parametrize(
    ("environment", "visible"),
    [
        (None, GPUS),
        ("0,1,2", GPUS),
        ("2,1", ["gpu2", "gpu1"]),
        (" 1 , 0 ", ["gpu1", "gpu0"]),
        ("0,2,-1,1", ["gpu0", "gpu2"]),
        ("0,3,1", ["gpu0"]),
        ("0,,1", ["gpu0"]),
        ("1gpu2,+2", ["gpu1", "gpu2"]),
        ("0,0", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("9" * 5000, []),
        ("GPU-1f,GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", ["gpu2", "gpu0"]),
        ("GPU-8932f94", ["gpu1"]),
        ("GPU-8932f9", []),
        ("GPU-1,GPU-1f", []),
        ("GPU-1,GPU-dead,GPU-8932f94", ["gpu2"]),
        ("GPU-1,0", ["gpu2"]),
        ("0,GPU-1", ["gpu0"]),
        ("-1,MIG-1", []),
    ],
)
def test_the_list_is_read_as_cuda_reads_it(environment: str | None, visible: list[str]) -> None:
    assert visible_gpus(environment, KNOWN) == visible


def test_gpus_are_in_nvml_order_and_a_lost_one_shifts_no_other() -> None:
    known = {f"gpu{n}": f"GPU-{n}" for n in (11, 2, 0)}
    assert visible_gpus(None, known) == ["gpu0", "gpu2", "gpu11"]
    assert visible_gpus("2,11", known) == ["gpu2", "gpu11"]


@given(st.permutations(range(8)), st.integers(0, 8))
def test_any_order_of_gpus_is_that_order(order: list[int], count: int) -> None:
    known = {f"gpu{n}": f"GPU-{n}{n}{n}" for n in range(8)}
    chosen = [f"gpu{n}" for n in order[:count]]
    assert visible_gpus(",".join(map(str, order[:count])), known) == chosen
    assert visible_gpus(",".join(f"GPU-{n}{n}" for n in order[:count]), known) == chosen
    named = [f"cuda:{n}" for n in range(count)]
    assert resolve(named, ",".join(map(str, order[:count])), known) == chosen


@given(st.one_of(st.text(), st.lists(st.sampled_from(["0", "1", "2", "3", "-1", "", "GPU-1", "GPU-8"])).map(",".join)))
def test_whatever_is_set_shows_known_gpus_once(environment: str) -> None:
    try:
        visible = visible_gpus(environment, KNOWN)
    except MigInstance:
        assert "MIG-" in environment
        return
    assert len(set(visible)) == len(visible)
    assert set(visible) <= set(GPUS)
    held = resolve(None, environment, KNOWN)
    assert held == (visible or ["cpu0", "dram0"] if len(visible) < len(GPUS) else None)


@pytest.mark.parametrize(
    ("named", "environment", "devices"),
    [
        (["gpu0", "cpu0"], "2", ["gpu0", "cpu0"]),
        (["cuda:0"], None, ["gpu0"]),
        (["1", "cuda:0"], "2,1", ["gpu1", "gpu2"]),
        (["cuda", "cpu0"], "2,1", ["gpu2", "gpu1", "cpu0"]),
        (["cuda", "cpu0"], "", ["cpu0"]),
        (["cuda", "gpu2", "cuda:0"], "2", ["gpu2"]),
        (["GPU-1f2e", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"], "1", ["gpu2", "gpu0"]),
        ([], None, []),
    ],
)
def test_names_uuids_and_ordinals_become_the_exporters_names(
    named: list[str], environment: str | None, devices: list[str]
) -> None:
    assert resolve(named, environment, KNOWN) == devices


@pytest.mark.parametrize(
    ("named", "environment", "said"),
    [
        (["cuda:3"], None, "CUDA device 3 is not there: 3 GPUs are visible$"),
        (["1"], "2", "1 GPUs are visible by CUDA_VISIBLE_DEVICES='2'"),
        (["cuda"], "-1", "shows this job no GPU"),
        (["GPU-8932"], None, "not the beginning of one GPU's UUID"),
        (["GPU-dead"], None, "not the beginning of one GPU's UUID"),
        (["MIG-1c2d"], None, r'whole board only .*devices=\["gpu0"\], share=True'),
        (["cuda"], "MIG-1c2d", "whole board only"),
        (None, "0,MIG-GPU-8932f937/1/0", "whole board only"),
    ],
)
def test_what_is_not_there_is_said(named: list[str] | None, environment: str | None, said: str) -> None:
    with pytest.raises(ClientError, match=said):
        resolve(named, environment, KNOWN)


def test_an_exporter_of_one_kind_of_device() -> None:
    assert resolve(None, "", {"cpu0": "cpu-model"}) is None
    assert resolve(None, "MIG-1c2d", {"cpu0": "cpu-model"}) is None
    with pytest.raises(ClientError, match="reads nothing else"):
        resolve(None, "", {"gpu0": KNOWN["gpu0"]})


def test_the_exporter_is_asked_only_when_it_matters_and_once() -> None:
    asked = []

    def ask() -> list[dict[str, str]]:
        asked.append(1)
        return [{"device": name, "uuid": uuid} for name, uuid in KNOWN.items()]

    names = DeviceNames(ask, strict=True)
    assert names.resolve(None, None) is None
    assert names.resolve(["gpu0", "cpu0"], "1") == ["gpu0", "cpu0"]
    assert names.resolve("gpu0", "1") == ["gpu0"]
    assert asked == []
    for _ in range(3):
        assert names.resolve([0, "cpu0"], "1") == ["gpu1", "cpu0"]
    assert len(asked) == 1


def test_a_failure_is_not_kept() -> None:
    answers: list[Any] = [{"detail": "starting"}, [{"device": "gpu0", "uuid": "GPU-1"}]]
    names = DeviceNames(lambda: answers.pop(0), strict=True)
    with pytest.raises(ClientError, match="cannot be read"):
        names.resolve([0], None)
    assert names.resolve([0], None) == ["gpu0"]


@pytest.fixture
def machine(make_exporter: Callable[..., Exporter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    """An exporter with gpu0, gpu1 and cpu0, and a job without CUDA_VISIBLE_DEVICES."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    trace = tmp_path / "trace.yml"
    trace.write_text("gpu0: [[1, 100]]\ngpu1: [[1, 200]]\ncpu0: [[1, 50]]\n")
    return make_exporter("--source", "replay", "--replay.trace", str(trace))


def held(exporter: Exporter) -> dict[str, list[str]]:
    return {window["stage"]: window["devices"] for window in exporter.http.get("/api/v1/stage").json()}


def test_a_stage_holds_what_the_job_sees(machine: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str | None, list[str | int] | None, list[str]]] = [
        (None, None, ["cpu0", "gpu0", "gpu1"]),
        ("1,0", None, ["cpu0", "gpu0", "gpu1"]),
        ("1", None, ["gpu1"]),
        ("", None, ["cpu0"]),
        ("1", [0, "cpu0"], ["cpu0", "gpu1"]),
        ("1,0", ["cuda:1"], ["gpu0"]),
    ]
    with joulemark.run("kd-1", url=machine.url, strict=True) as run:
        for environment, devices, expected in cases:
            if environment is not None:
                monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environment)
            with run.stage("student", devices=devices):
                assert held(machine) == {"student": expected}, (environment, devices)
        with pytest.raises(joulemark.ClientError, match="CUDA device 2 is not there"):
            run.stage("student", devices=[2]).__enter__()


def test_a_stage_inside_another_works_where_that_does(machine: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with (
        joulemark.run("kd-1", url=machine.url, strict=True) as run,
        run.stage("student", devices=["cuda", "cpu0"]),
        run.stage("eval"),
    ):
        assert held(machine) == {"student": ["cpu0", "gpu1"], "eval": ["cpu0", "gpu1"]}


def test_two_jobs_each_on_a_gpu_of_its_own_do_not_meet(machine: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with joulemark.run("kd-1", url=machine.url, strict=True) as one, one.stage("teacher"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        with joulemark.run("kd-2", url=machine.url, strict=True) as two, two.stage("student"):
            assert held(machine) == {"teacher": ["gpu0"], "student": ["gpu1"]}


def test_a_mig_instance_is_booked_as_all_devices_with_one_warning(
    machine: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1c2d")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with joulemark.run("kd-1", url=machine.url) as run:
            for _ in range(3):
                with run.stage("teacher"):
                    time.sleep(0.05)
                    assert held(machine) == {"teacher": ["cpu0", "gpu0", "gpu1"]}
            assert run.missed == 0
    assert len([w for w in caught if "whole board only" in str(w.message)]) == 1
    with (
        joulemark.run("kd-2", url=machine.url, strict=True) as run,
        pytest.raises(joulemark.ClientError, match="whole board only"),
    ):
        run.stage("teacher").__enter__()


def test_names_are_found_out_when_the_exporter_comes_late(machine: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joulemark.client.timing.BEAT_SECONDS", 0.2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    machine.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with joulemark.run("kd-1", url=machine.url) as run, run.stage("teacher"):
            machine.start()
            wait_for(lambda: held(machine) == {"teacher": ["gpu1"]})
