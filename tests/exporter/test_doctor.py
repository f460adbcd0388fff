"""`joulemark doctor` as a user meets it: what it finds without a GPU, what it says to do, and its exit code."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from doctor_process import Doctor
from exporter_process import Exporter
from nvml_mock import Gpu, LiveMachine


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


def test_nothing_to_measure_is_not_fit(doctor: Doctor) -> None:
    report = doctor.report()
    assert report["verdict"].startswith("not fit")
    assert report.found("modelled_only")["found"] == "'joulemark serve' would read cpu_model"
    assert [device["modelled"] for device in report["devices"]] == [True]
    assert "nvml_counter" in {x["subject"] for x in report["findings"] if x["id"] == "source_absent"}
    # It writes nothing.
    assert not doctor.state.exists()


def test_a_library_without_a_driver_says_how_to_load_it(doctor: Doctor, nvml_library: Path, tmp_path: Path) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu()], watts=[100.0])
    machine.fault("driver")
    report = doctor.report(**machine.environment)
    assert not report["fit"]
    assert "modprobe nvidia" in report.found("source_broken", "nvml_counter")["found"]
    assert "modelled_only" in report.kinds()


def test_rapl_alone_is_fit_with_one_estimator(doctor: Doctor) -> None:
    doctor.zone(readable=True)
    report = doctor.report()
    assert report["fit"]
    (device,) = report["devices"]
    assert (device["device"], device["gauge"]) == ("cpu0", None)
    assert report.found("estimators_single")["subject"] == "cpu0"


def test_a_source_that_is_asked_for_and_missing_is_an_error(doctor: Doctor) -> None:
    report = doctor.report("--source", "rapl")
    assert not report["fit"]
    assert report.found("source_wanted")["subject"] == "rapl"
    assert report["devices"] == []


def test_a_port_that_is_taken_and_a_folder_that_is_a_file(doctor: Doctor) -> None:
    doctor.state.write_text("")
    with socket.socket() as other:
        other.bind(("127.0.0.1", doctor.port))
        report = doctor.report()
    assert report.found("address_taken")["severity"] == "error"
    assert "is a file" in report.found("state_dir_refused")["found"]


def test_an_exporter_that_runs_is_examined(doctor: Doctor, exporter: Exporter) -> None:
    exporter.put_stage("r", "data")
    address = f"127.0.0.1:{exporter.port}"
    report = doctor.report("--web.listen-address", address, JOULEMARK_URL=exporter.url)
    assert "held by Joulemark" in report.found("address_joulemark")["found"]
    assert report.found("exporter")["subject"] == exporter.url
    assert report.found("conservation")["found"].startswith("stages add up on ")
    assert report.kinds("gpu0") == {"exporter_modelled"}


def test_a_person_reads_findings_with_remedies_and_the_verdict_last(doctor: Doctor) -> None:
    doctor.zone(readable=False)
    done = doctor.run()
    assert done.returncode == 1
    assert "chmod a+r" in re.sub(r"\s+", " ", done.stdout)
    assert "→ Get one of the sources to work" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("not fit to measure: 1 error")
    assert "asking the exporter and Prometheus" in done.stderr
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
