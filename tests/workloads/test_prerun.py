"""Before the work: a busy or throttled GPU is refused unless told, the idle baseline is a mean by device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from nvml_mock.script import Constant, Gpu, Script

from joulemark_workloads.config import cells_of, read_document
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.phases import gpu_guard
from joulemark_workloads.phases.prerun import idle_baseline
from joulemark_workloads.phases.sequence import run_phases


class Card:
    """What NVML says of one card."""

    def __init__(self, uuid: str, used: int = 0, pids: tuple[int, ...] = (), throttle: int = 0) -> None:
        self.uuid, self.used, self.pids, self.throttle = uuid, used, pids, throttle


def plug(monkeypatch: pytest.MonkeyPatch, *cards: Card) -> None:
    answers: dict[str, Callable[..., Any]] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(cards),
        "nvmlDeviceGetHandleByIndex": lambda index: cards[index],
        "nvmlDeviceGetUUID": lambda card: card.uuid,
        "nvmlDeviceGetUtilizationRates": lambda card: SimpleNamespace(gpu=card.used),
        "nvmlDeviceGetComputeRunningProcesses_v3": lambda card: [SimpleNamespace(pid=pid) for pid in card.pids],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda card: card.throttle,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)


def test_a_free_card_has_nothing_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # A power cap alone (0x4) is normal work, and so is this process itself.
    plug(monkeypatch, Card("GPU-a", used=3, pids=(os.getpid(),), throttle=0x4))
    assert gpu_guard.complaints(0.1, 0.02, 0.01) == []


def test_what_stands_against_a_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, Card("GPU-a", used=80), Card("GPU-b", pids=(42,)), Card("GPU-c", throttle=0x40))
    assert gpu_guard.complaints(0.1, 0.02, 0.01) == [
        "gpu0 is 80% busy",
        "gpu1 is used by process 42",
        "gpu2 is throttled (hardware thermal slowdown)",
    ]


@pytest.mark.parametrize(("visible", "seen"), [("1", 0), ("0,1", 1), ("GPU-a", 1), ("GPU-b", 0), ("", 0)])
def test_only_visible_cards_matter(monkeypatch: pytest.MonkeyPatch, visible: str, seen: int) -> None:
    plug(monkeypatch, Card("GPU-a1", used=80), Card("GPU-b1"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert len(gpu_guard.complaints(0.1, 0.02, 0.01)) == seen


def test_a_card_that_does_not_tell_is_not_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, Card("GPU-a"))

    def unsupported(_: Any) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in ("UtilizationRates", "ComputeRunningProcesses_v3", "CurrentClocksThrottleReasons"):
        monkeypatch.setattr(pynvml, f"nvmlDeviceGet{name}", unsupported)
    assert gpu_guard.complaints(0.1, 0.02, 0.01) == []


def test_a_card_that_is_lost_is_named_and_fails_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, Card("GPU-a"))

    def lost(_: Any) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lost)
    assert gpu_guard.complaints(0.1, 0.02, 0.01) == ["a GPU does not answer (GPU is lost)"]
    assert gpu_guard.driver() == {}


def test_a_run_does_not_start_on_a_busy_card_unless_told(
    monkeypatch: pytest.MonkeyPatch,
    experiment_file: Callable[..., Path],
    tmp_path: Path,
    make_exporter: Callable[..., Any],
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    plug(monkeypatch, Card("GPU-a", used=80))
    monkeypatch.setattr(gpu_guard, "driver", dict)
    monkeypatch.setattr("joulemark_workloads.phases.environment.driver", dict)
    (cell,) = cells_of(read_document(experiment_file("sft")))
    with pytest.raises(WorkloadError, match=r"gpu0 is 80% busy.*--even-if-busy"):
        run_phases(cell, "r", tmp_path, url=exporter.url, phases=("prerun",))
    assert exporter.http.get("/api/v1/stage").json() == []
    record = run_phases(cell, "r", tmp_path, url=exporter.url, phases=("prerun",), even_if_busy=True)
    assert record.facts("prerun")["complaints"] == ["gpu0 is 80% busy"]
    # It says so in the configuration too.
    (cell,) = cells_of(read_document(experiment_file("sft"), ["prerun.on_busy=warn"]))
    assert run_phases(cell, "s", tmp_path, url=exporter.url, phases=("prerun",)).has("prerun")


def test_the_real_library_is_asked(nvml_library: Path, tmp_path: Path) -> None:
    # The mock's card is half busy, by a library that the real bindings load.
    card = Gpu()
    card.pieces.append((0.0, Constant(100.0)))
    mock = Script(tmp_path / "script", [card])
    mock.save()
    words = (
        "import json; from joulemark_workloads.phases import gpu_guard as g; print(json.dumps(g.complaints(0.1, 0.1)))"
    )
    found = {"LD_LIBRARY_PATH": str(nvml_library), "MOCK_NVML_SCRIPT": str(mock.path)}
    environment = {**os.environ, **found}
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "gpu0 is 50% busy" in json.loads(done.stdout)


def test_the_idle_baseline_is_a_mean_by_device() -> None:
    readings = iter([{"gpu0": 60.0, "cpu0": 10.0}, None, {"gpu0": 64.0}])
    assert idle_baseline(lambda: next(readings), 0.03, 0.01) == {"gpu0": 62.0, "cpu0": 10.0}
    assert idle_baseline(lambda: None, 0.02, 0.01) == {}
