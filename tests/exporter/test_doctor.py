"""`joulemark doctor` on machines of every kind: what it finds, what it says to do, and its exit code."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter, free_port
from nvml_mock import Gpu, LiveMachine

ROOT = Path(__file__).parents[2]
# The powercap folder is no setting, so it is changed where the source has it.
PROGRAM = """
import sys
from pathlib import Path
from joulemark.sources.rapl import RaplSource
RaplSource.__init__.__kwdefaults__["powercap"] = Path(sys.argv.pop(1))
from joulemark.cli import main
main()
"""
# Quick ticks, so that a short examination sees enough of them.
CARD: dict[str, float | str] = {"tick": 0.02, "power_tick": 0.02}


class Doctor:
    """Runs the doctor with a powercap folder, a state folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.powercap = folder / "powercap"
        self.powercap.mkdir()
        self.state, self.port = folder / "state", free_port()

    def command(self, *argv: str) -> list[str]:
        place = ["--state-dir", str(self.state), "--web.listen-address", f"127.0.0.1:{self.port}"]
        command = [sys.executable, "-c", PROGRAM, str(self.powercap), "doctor", "--seconds", "3", "--no-load"]
        return [*command, *place, *argv]

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        nobody = f"http://127.0.0.1:{free_port()}"
        return {**os.environ, "JOULEMARK_URL": nobody, "COLUMNS": "200", **environment}

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv),
            env=self.environment(environment),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def report(self, *argv: str, **environment: str) -> dict[str, Any]:
        """The JSON report; the exit code must say the same as it."""
        done = self.run("--json", *argv, **environment)
        assert done.returncode in (0, 1), done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["fit"] == (done.returncode == 0)
        return report


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


@pytest.fixture
def make_machine(nvml_library: Path, tmp_path: Path) -> Callable[..., LiveMachine]:
    """Machines with one GPU for each set of properties, 100 W, 200 W, …"""

    def make(*cards: dict[str, float | str]) -> LiveMachine:
        gpus = [Gpu({**CARD, **card}) for card in cards or ({},)]
        return LiveMachine(nvml_library, tmp_path, gpus, watts=[100.0 * (i + 1) for i in range(len(gpus))])

    return make


def found(report: dict[str, Any], kind: str, subject: str | None = None) -> dict[str, Any]:
    """The only finding of a kind."""
    kinds = [x for x in report["findings"] if x["id"] == kind and subject in (None, x["subject"])]
    assert len(kinds) == 1, [(x["id"], x["subject"], x["found"]) for x in report["findings"]]
    finding: dict[str, Any] = kinds[0]
    return finding


def kinds_of(report: dict[str, Any]) -> set[str]:
    return {finding["id"] for finding in report["findings"]}


def test_a_good_gpu_is_measured_and_fit(doctor: Doctor, make_machine: Callable[..., LiveMachine]) -> None:
    report = doctor.report(**make_machine({"latency": 0.001}, {}).environment)
    assert report["fit"]
    assert report["verdict"].startswith("fit to measure gpu0, gpu1")
    assert (report["versions"]["nvidia_driver"], report["versions"]["nvml_library"]) == ("570.00", "12.570.00")
    slow, quick = report["devices"]
    assert (slow["device"], slow["source"], slow["gauge"]) == ("gpu0", "nvml_counter", "instant_field")
    assert slow["tick"]["seconds"] == pytest.approx(0.02, rel=0.1)
    for kind in ("counter", "power_field", "power_call"):
        assert 0.001 <= slow["latency"][kind]["median_seconds"] <= slow["latency"][kind]["p99_seconds"]
        assert slow["latency"][kind]["calls"] > 10
    assert quick["latency"]["counter"]["median_seconds"] < slow["latency"]["counter"]["median_seconds"]
    for device, watts in ((slow, 100), (quick, 200)):
        (comparison,) = device["estimators"]
        assert comparison["condition"] == "as_found"
        assert comparison["mean_watts"] == pytest.approx(watts, rel=0.01)
        assert comparison["disagreement_ratio"] < 0.05
    assert found(report, "source_read", "nvml_counter")["found"] == "reads gpu0, gpu1"
    assert {"read_latency", "estimators_agree", "power_field", "state_dir", "port_free", "load_none"} <= kinds_of(
        report
    )


def test_nothing_to_measure_is_not_fit(doctor: Doctor) -> None:
    report = doctor.report()
    assert not report["fit"]
    assert report["verdict"].startswith("not fit")
    assert found(report, "modelled_only")["found"] == "'joulemark serve' would read cpu_model"
    assert [device["modelled"] for device in report["devices"]] == [True]
    assert "nvml_counter" in {x["subject"] for x in report["findings"] if x["id"] == "source_absent"}
    # It writes nothing.
    assert not doctor.state.exists()


def test_a_library_without_a_driver_says_how_to_load_it(
    doctor: Doctor, make_machine: Callable[..., LiveMachine]
) -> None:
    machine = make_machine()
    machine.fault("driver")
    report = doctor.report(**machine.environment)
    assert not report["fit"]
    assert "modprobe nvidia" in found(report, "source_broken", "nvml_counter")["found"]
    assert "modelled_only" in kinds_of(report)


def zone(powercap: Path, *, readable: bool) -> None:
    folder = powercap / "intel-rapl:0"
    folder.mkdir()
    (folder / "name").write_text("package-0\n")
    if readable:
        (folder / "energy_uj").write_text("5000000\n")
    else:
        # As for root nothing is forbidden, something that cannot be read at all.
        (folder / "energy_uj").mkdir()


def test_unreadable_rapl_is_a_warning_beside_a_gpu(doctor: Doctor, make_machine: Callable[..., LiveMachine]) -> None:
    zone(doctor.powercap, readable=False)
    report = doctor.report(**make_machine().environment)
    assert report["fit"]
    broken = found(report, "source_broken", "rapl")
    assert broken["severity"] == "warning"
    assert "chmod a+r" in broken["found"]


def test_unreadable_rapl_alone_is_not_fit(doctor: Doctor) -> None:
    zone(doctor.powercap, readable=False)
    report = doctor.report()
    assert not report["fit"]
    assert {"source_broken", "modelled_only"} <= kinds_of(report)


def test_rapl_alone_is_fit_with_one_estimator(doctor: Doctor) -> None:
    zone(doctor.powercap, readable=True)
    report = doctor.report()
    assert report["fit"]
    (device,) = report["devices"]
    assert (device["device"], device["gauge"]) == ("cpu0", None)
    assert found(report, "estimators_single")["subject"] == "cpu0"


def test_a_source_that_is_asked_for_and_missing_is_an_error(doctor: Doctor) -> None:
    report = doctor.report("--source", "rapl")
    assert not report["fit"]
    assert found(report, "source_wanted")["subject"] == "rapl"
    assert report["devices"] == []


@pytest.mark.parametrize(
    ("card", "kind", "words"),
    [
        ({"counter": 0}, "counter_missing", "GPUs from Volta on"),
        ({"mig": 1}, "mig", "whole board"),
        ({"instant": 0, "average": 1.0}, "power_averaged", "average over the last second"),
        ({"module": 80}, "module_scope", "whole module"),
        ({"jitter": 0.9}, "counter_tick_uneven", "without an even beat"),
        ({"latency": 0.03}, "read_latency_slow", "nvidia-persistenced"),
        ({"gain": 1.2}, "estimators_apart", "wall meter"),
    ],
)
def test_each_weakness_is_named_and_explained_and_leaves_the_machine_fit(
    doctor: Doctor,
    make_machine: Callable[..., LiveMachine],
    card: dict[str, float | str],
    kind: str,
    words: str,
) -> None:
    report = doctor.report(*(["--seconds", "6"] if "jitter" in card else []), **make_machine(card).environment)
    assert report["fit"]
    finding = found(report, kind, "gpu0")
    assert words in finding["meaning"] + finding["remedy"]


def test_a_frozen_counter_is_seen(doctor: Doctor, make_machine: Callable[..., LiveMachine]) -> None:
    machine = make_machine()
    machine.fault("frozen")
    report = doctor.report(**machine.environment)
    assert report["fit"]
    assert found(report, "counter_frozen")["found"] == "counter stands still at 100 W"
    assert report["devices"][0]["tick"] is None
    assert report["devices"][0]["estimators"][0]["disagreement_ratio"] is None


@pytest.mark.parametrize(("fault", "kind"), [("hang", "device_hung"), ("lost", "device_unreadable")])
def test_a_gpu_that_fails_meanwhile_is_an_error_and_the_other_is_measured(
    doctor: Doctor, make_machine: Callable[..., LiveMachine], fault: str, kind: str
) -> None:
    machine = make_machine({}, {})
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
        machine.fault(fault, gpu=1)
        report = json.loads(child.stdout.read())
    assert child.returncode == 1
    assert found(report, kind)["subject"] == "gpu1"
    assert found(report, "estimators_agree")["subject"] == "gpu0"


def test_disagreement_under_the_doctors_own_load_is_an_error(
    doctor: Doctor, make_machine: Callable[..., LiveMachine], tmp_path: Path
) -> None:
    log = tmp_path / "torch.log"
    path = os.pathsep.join([str(Path(__file__).parent / "fake_torch"), os.environ.get("PYTHONPATH", "")])
    environment = {**make_machine({"gain": 1.2}, {"gain": 1.2}).environment, "FAKE_TORCH_LOG": str(log)}
    report = doctor.report("--load", PYTHONPATH=path, **environment)
    assert not report["fit"]
    assert report["load"]["ran"]
    # Only the first GPU was loaded, and only its disagreement counts as one under load.
    assert found(report, "estimators_apart_under_load")["subject"] == "gpu0"
    assert [x["condition"] for x in report["devices"][0]["estimators"]] == ["as_found", "under_load"]
    # PyTorch was used by the load's own process and by no other.
    assert {line.partition(" ")[2].split()[-1] for line in log.read_text().splitlines()} == {
        "joulemark.doctor.matrix_load"
    }


def test_a_load_that_is_not_to_be_had_says_why(doctor: Doctor, make_machine: Callable[..., LiveMachine]) -> None:
    report = doctor.report("--load", **make_machine().environment)
    assert report["fit"]
    assert not report["load"]["ran"]
    assert "PyTorch" in found(report, "load_none")["found"]


def test_a_port_that_is_taken_and_a_folder_that_is_a_file(doctor: Doctor) -> None:
    doctor.state.write_text("")
    with socket.socket() as other:
        other.bind(("127.0.0.1", doctor.port))
        other.listen()
        other.settimeout(0)
        report = doctor.report()
    assert found(report, "port_taken")["severity"] == "error"
    assert "is a file" in found(report, "state_dir_refused")["found"]


def test_an_exporter_that_runs_is_examined(doctor: Doctor, exporter: Exporter) -> None:
    exporter.put_stage("r", "data")
    address = f"127.0.0.1:{exporter.port}"
    report = doctor.report("--web.listen-address", address, JOULEMARK_URL=exporter.url)
    assert "held by Joulemark" in found(report, "port_joulemark")["found"]
    assert found(report, "exporter")["subject"] == exporter.url
    assert found(report, "conservation")["found"].startswith("stages add up on ")
    assert {x["id"] for x in report["findings"] if x["subject"] == "gpu0"} == {"exporter_modelled"}


def test_a_person_reads_findings_with_remedies_and_the_verdict_last(doctor: Doctor) -> None:
    zone(doctor.powercap, readable=False)
    done = doctor.run()
    assert done.returncode == 1
    assert "chmod a+r" in re.sub(r"\s+", " ", done.stdout)
    assert "→ Get one of the sources to work" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("not fit to measure: 1 error")
    assert "watching the counter tick" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--seconds", "1"], "--seconds"),
        (["--source", "magic"], "'magic'"),
        (["--config.file", "/nonexistent.yml"], "/nonexistent.yml"),
    ],
)
def test_wrong_use_is_exit_code_2(doctor: Doctor, argv: list[str], words: str) -> None:
    done = doctor.run(*argv)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr


def test_help_tells_what_the_exit_codes_mean(doctor: Doctor) -> None:
    text = re.sub(r"\s+", " ", doctor.run("--help").stdout)
    for words in ("Exit code 0: fit to measure", "1: not fit", "2: the command", "--seconds", "--json", "--prometheus"):
        assert words in text


def test_the_documented_shape_is_the_one_that_is_written(
    doctor: Doctor, make_machine: Callable[..., LiveMachine]
) -> None:
    report = doctor.report(**make_machine().environment)
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert f"`{report['shape']}`" in page
    (device,) = report["devices"]
    parts = [report, report["versions"], report["clocks"], report["load"], report["sources"][0], report["findings"][0]]
    parts += [device, device["state"], device["tick"], device["latency"]["counter"], device["estimators"][0]]
    for key in [key for part in parts for key in part]:
        assert f"`{key}`" in page or f"`{key}[]`" in page, key
