"""`joulemark doctor` on GPUs of every kind: each weakness is named, explained, and judged by what it spoils."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from doctor_process import Doctor, Report
from exporter_process import Exporter
from nvml_mock import Constant, Gpu, LiveMachine

ROOT = Path(__file__).parents[2]
# Quick ticks, so that a short examination sees enough of them.
CARD: dict[str, float | str] = {"tick": 0.02, "power_tick": 0.02}
# The counter has 100 W of a module that this gauge does not see.
APART: dict[str, float | str] = {"module": 100, "instant": 0, "arch": 5}

# One GPU with each weakness: its properties, what is found of it, and words of the meaning or the remedy.
WEAK: list[tuple[dict[str, float | str], str, str]] = [
    ({"counter": 0}, "counter_missing", "GPUs from Volta on"),
    ({"mig": 1}, "mig", "whole board"),
    ({"instant": 0, "average": 1.0}, "power_averaged", "average over the last second"),
    ({"module": 80}, "module_scope", "whole module"),
    ({"jitter": 0.9}, "counter_tick_uneven", "without an even beat"),
    ({"latency": 0.03}, "read_latency_slow", "nvidia-persistenced"),
    (APART, "estimators_apart", "wall meter"),
]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


NO_PERMISSION = 4
Cards = Callable[..., LiveMachine]


@pytest.fixture
def cards(nvml_library: Path, tmp_path: Path) -> Cards:
    """GPUs with these properties that draw 100 W, 200 W and so on."""
    return lambda *properties: machine_of(nvml_library, tmp_path, *properties)


def machine_of(library: Path, folder: Path, *properties: dict[str, float | str]) -> LiveMachine:
    watts = [100.0 * (index + 1) for index in range(len(properties))]
    return LiveMachine(library, folder, [Gpu({**CARD, **card}) for card in properties], watts=watts)


@pytest.fixture(scope="module")
def good(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on two GPUs with nothing wrong, the first with calls of 1 ms, beside RAPL that cannot be read."""
    folder = tmp_path_factory.mktemp("good")
    doctor = Doctor(folder)
    doctor.zone(readable=False)
    return doctor.report(**machine_of(nvml_library, folder, {"latency": 0.001}, {}).environment)


@pytest.fixture(scope="module")
def weak(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on a machine in which every GPU has another weakness, and the last a counter that stands still."""
    folder = tmp_path_factory.mktemp("weak")
    machine = machine_of(nvml_library, folder, *(card for card, _, _ in WEAK), {})
    machine.fault("frozen", gpu=len(WEAK))
    return Doctor(folder).report("--seconds", "6", **machine.environment)


def test_good_gpus_are_measured_and_fit(good: Report) -> None:
    assert good["fit"]
    assert good["verdict"].startswith("fit to measure gpu0, gpu1")
    assert good["versions"]["nvidia_driver"] == "570.00"
    slow, quick = good["devices"]
    assert (slow["device"], slow["source"], slow["gauge"]) == ("gpu0", "nvml_counter", "instant_field")
    assert slow["tick"]["seconds"] == pytest.approx(0.02, rel=0.1)
    for kind in ("counter", "power_field", "power_call"):
        assert 0.001 <= slow["latency"][kind]["median_seconds"] <= slow["latency"][kind]["p99_seconds"]
        assert slow["latency"][kind]["calls"] > 10
    for device, watts in ((slow, 100), (quick, 200)):
        (comparison,) = device["estimators"]
        assert comparison["condition"] == "as_found"
        assert comparison["mean_watts"] == pytest.approx(watts, rel=0.01)
        assert comparison["disagreement_ratio"] < 0.05
    assert good.found("source_read", "nvml_counter")["found"] == "reads gpu0, gpu1"
    assert {"estimators_agree", "power_field"} <= good.kinds("gpu0")
    assert {"state_dir", "address_free", "load_none"} <= good.kinds()


def test_unreadable_rapl_is_a_warning_beside_a_gpu(good: Report) -> None:
    broken = good.found("source_broken", "rapl")
    assert broken["severity"] == "warning"
    assert "chmod a+r" in broken["found"]


def test_the_documented_shape_is_the_one_that_is_written(good: Report) -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert f"`{good['shape']}`" in page
    device = good["devices"][0]
    parts = [good, good["versions"], good["clocks"], good["load"], good["sources"][0], good["findings"][0]]
    parts += [device, device["state"], device["tick"], device["latency"]["counter"], device["estimators"][0]]
    for key in [key for part in parts for key in part]:
        assert f"`{key}`" in page or f"`{key}[]`" in page, key


@pytest.mark.parametrize("index", range(len(WEAK)), ids=[kind for _, kind, _ in WEAK])
def test_each_weakness_is_named_and_explained(weak: Report, index: int) -> None:
    _, kind, words = WEAK[index]
    finding = weak.found(kind, f"gpu{index}")
    assert words in finding["meaning"] + finding["remedy"]


def test_ticks_that_slow_calls_cannot_tell_apart_are_not_told(weak: Report) -> None:
    slow = next(index for index, (card, _, _) in enumerate(WEAK) if "latency" in card)
    assert {"counter_tick", "counter_tick_uneven"}.isdisjoint(weak.kinds(f"gpu{slow}"))
    assert "apart" in weak.found("counter_tick_untold", f"gpu{slow}")["found"]


def test_weak_gpus_leave_the_machine_fit(weak: Report) -> None:
    assert weak["fit"]
    assert weak["verdict"].startswith("fit to measure gpu0, gpu1")


def test_a_frozen_counter_is_seen(weak: Report) -> None:
    name = f"gpu{len(WEAK)}"
    assert weak.found("counter_frozen", name)["found"] == "counter stands still at 800 W"
    assert weak["devices"][-1]["tick"] is None
    assert weak["devices"][-1]["estimators"][0]["disagreement_ratio"] is None


def test_gpus_that_fail_meanwhile_are_errors_and_the_others_are_measured(doctor: Doctor, cards: Cards) -> None:
    machine = cards({}, {}, {})
    child = subprocess.Popen(
        doctor.command("--json"),
        env=doctor.environment(machine.environment),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stderr
        assert child.stdout
        # The sources are there by now, and nothing has been compared yet.
        while "watching" not in child.stderr.readline():
            pass
        machine.fault("hang", gpu=1)
        machine.fault("lost", gpu=2)
        report = Report(json.loads(child.stdout.read()))
    assert child.returncode == 1
    assert report.found("device_hung")["subject"] == "gpu1"
    assert report.found("device_unreadable")["subject"] == "gpu2"
    assert report.found("estimators_agree")["subject"] == "gpu0"


def test_a_gpu_that_is_lost_from_the_start_is_an_error_too(doctor: Doctor, cards: Cards) -> None:
    machine = cards({}, {})
    machine.fault("lost", gpu=1)
    report = doctor.report(**machine.environment)
    assert not report["fit"]
    assert "gpu_index=1" in report.found("gpu_unusable")["found"]
    assert report.found("estimators_agree")["subject"] == "gpu0"


def test_a_refused_counter_is_told_from_one_that_is_not_there(doctor: Doctor, cards: Cards) -> None:
    machine = cards({}, {"counter": 0}, {})
    machine.error("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION)
    report = doctor.report(**machine.environment)
    assert report["fit"]
    refused = report.found("counter_refused")
    assert (refused["subject"], refused["severity"]) == ("gpu0", "warning")
    assert "nvml_insufficient_permissions" in refused["found"]
    assert "its bound is wider" in refused["meaning"]
    for words in ("as a user that may", "capability", "virtual GPU", "cloud"):
        assert words in refused["remedy"]
    assert report["devices"][0]["latency"]["counter"]["reason"] == "nvml_insufficient_permissions"
    # What is refused does not fail, and neither driver nor bus can help it.
    assert {"counter_missing", "readings_fail"}.isdisjoint(report.kinds("gpu0"))
    assert "counter_missing" in report.kinds("gpu1")
    assert "counter_tick" in report.kinds("gpu2")
    done = doctor.run(**machine.environment)
    text = " ".join(done.stdout.split())
    assert "refuses it to this user" in text
    assert "run the exporter as a user that may" in text
    assert "counter_refused" not in done.stderr


@pytest.mark.parametrize(
    ("watts", "kind"), [(100.0, "exporter_books"), (103.0, "exporter_books"), (300.0, "exporter_books_otherwise")]
)
def test_what_an_exporter_books_is_held_against_the_counter(
    doctor: Doctor, cards: Cards, make_exporter: Callable[..., Exporter], watts: float, kind: str
) -> None:
    """The exporter's GPU of the same UUID draws so much; by 3 % it may be off in so short a look."""
    machine, other = cards({}), cards({})
    other.script.power(other.now() - 50.0, Constant(watts))
    other.script.save()
    exporter = make_exporter("--source", "auto", env=other.environment)
    exporter.put_stage("r", "teacher")
    report = doctor.report(**machine.environment, JOULEMARK_URL=exporter.url)
    found = report.found(kind)
    assert found["subject"] == "gpu0"
    assert re.search(r"booked [0-9.]+ J in [0-9.]+ s at http", found["found"])
    assert report.kinds("gpu0") & {"exporter_books", "exporter_books_otherwise"} == {kind}
    assert "exporter_apart" not in report.kinds()


def fake_torch() -> dict[str, str]:
    """An environment with a PyTorch that sees a GPU where FAKE_TORCH_LOG is set."""
    return {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "fake_torch"), os.environ.get("PYTHONPATH", "")])
    }


def test_disagreement_under_the_doctors_own_load_is_an_error(doctor: Doctor, cards: Cards, tmp_path: Path) -> None:
    log = tmp_path / "torch.log"
    environment = {**cards(APART, APART).environment, **fake_torch(), "FAKE_TORCH_LOG": str(log)}
    report = doctor.report("--load", **environment)
    assert not report["fit"]
    assert report["load"]["ran"]
    # Only the first GPU was loaded, and only its disagreement counts as one under load.
    assert report.found("estimators_apart_under_load")["subject"] == "gpu0"
    assert [x["condition"] for x in report["devices"][0]["estimators"]] == ["as_found", "under_load"]
    # PyTorch was used by the load's own process and by no other.
    assert {line.partition(" ")[2].split()[-1] for line in log.read_text().splitlines()} == {
        "joulemark.doctor.matrix_load"
    }


def test_a_load_that_is_not_to_be_had_says_why(doctor: Doctor, cards: Cards) -> None:
    report = doctor.report("--load", **cards({}).environment, **fake_torch())
    assert report["fit"]
    assert not report["load"]["ran"]
    assert report.found("load_none")["found"] == "PyTorch 9.9+fake sees no CUDA GPU"
