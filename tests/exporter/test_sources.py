"""The sources beside NVML against known input: a scripted /proc, a scripted powercap folder, a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from joulemark.clock import ManualClock
from joulemark.errors import ReadFailed, SettingsError, SourceUnavailable
from joulemark.sources.cpu_model import CpuModelSource
from joulemark.sources.rapl import RaplSource
from joulemark.sources.replay import load_traces


def write_stat(proc: Path, busy_ticks: int) -> None:
    proc.mkdir(exist_ok=True)
    (proc / "stat").write_text(f"cpu  {busy_ticks} 0 0 12345 10 0 0 999 0 0\n")


def test_the_cpu_model_is_idle_plus_tdp_less_idle_times_utilisation(tmp_path: Path) -> None:
    clock = ManualClock()
    write_stat(tmp_path / "proc", 0)
    source = CpuModelSource(clock, tdp_watts=110.0, idle_watts=10.0, proc=tmp_path / "proc")
    (device,) = source.devices
    before = source.read(device).energy_joules
    clock.advance(10.0)
    half_busy = 10.0 / 2 * (os.cpu_count() or 1) * os.sysconf("SC_CLK_TCK")
    write_stat(tmp_path / "proc", int(half_busy))
    reading = source.read(device)
    assert before is not None
    assert reading.energy_joules is not None
    # 10 W + 100 W x 0.5 for 10 s.
    assert reading.energy_joules - before == pytest.approx(600.0)
    assert reading.watts == pytest.approx(60.0)
    assert device.modelled
    assert "modelled" in device.model


def test_an_unreadable_proc_is_a_failed_reading(tmp_path: Path) -> None:
    write_stat(tmp_path / "proc", 0)
    source = CpuModelSource(ManualClock(), proc=tmp_path / "proc")
    (tmp_path / "proc" / "stat").write_text("nonsense")
    with pytest.raises(ReadFailed) as failed:
        source.read(source.devices[0])
    assert failed.value.reason == "proc_stat"


def write_zone(powercap: Path, name: str, label: str, microjoules: int) -> Path:
    zone = powercap / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "name").write_text(label + "\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    return zone


def test_rapl_takes_packages_and_dram_and_counts_nothing_twice(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    write_zone(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    write_zone(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    write_zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    write_zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)
    clock = ManualClock()
    source = RaplSource(clock, powercap=tmp_path)
    joules = {device.name: source.read(device).energy_joules for device in source.devices}
    assert joules == {"cpu0": 5.0, "dram0": 1.0, "cpu1": 7.0}
    assert source.devices[0].wrap_joules == pytest.approx(262_143.32885)


def test_rapl_power_is_right_across_a_wrap(tmp_path: Path) -> None:
    zone = write_zone(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000)
    clock = ManualClock()
    source = RaplSource(clock, powercap=tmp_path)
    source.read(source.devices[0])
    clock.advance(2.0)
    (zone / "energy_uj").write_text("99671150\n")
    assert source.read(source.devices[0]).watts == pytest.approx(50.0)


def test_rapl_absent_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no RAPL package"):
        RaplSource(ManualClock(), powercap=tmp_path)


def test_a_trace_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trace.yml"
    path.write_text("gpu0: [[1, 100], [-1, 5]]")
    with pytest.raises(SettingsError, match="seconds > 0"):
        load_traces(path)
    path.write_text("gpu0: twelve")
    with pytest.raises(SettingsError, match=str(path)):
        load_traces(path)
