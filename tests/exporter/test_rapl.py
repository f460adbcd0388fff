"""RAPL on scripted powercap folders: which zones are counted, and what becomes of those that cannot be read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from joulemark.clock import ManualClock
from joulemark.errors import ReadFailed, SourceUnavailable
from joulemark.ledger.state import StageRequest
from joulemark.meter.meter import Meter
from joulemark.sources.rapl import RaplSource

RANGE = "262143328850"


def zone(
    folder: Path, name: str, label: str, joules: float | None, *, wrap: str | None = RANGE, watts: str | None = None
) -> Path:
    """One zone; without joules its counter is there but cannot be read."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "name").write_text(f"{label}\n")
    if joules is None:
        (path / "energy_uj").mkdir()
    else:
        (path / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    if wrap is not None:
        (path / "max_energy_range_uj").write_text(f"{wrap}\n")
    if watts is not None:
        (path / "constraint_0_max_power_uw").write_text(f"{watts}\n")
    return path


def joules_of(powercap: Path) -> dict[str, float | None]:
    source = RaplSource(ManualClock(), powercap=powercap)
    return {device.name: source.read(device).energy_joules for device in source.devices}


def test_an_amd_machine_under_the_kernels_own_name(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    zone(tmp_path, "intel-rapl:0:0", "core", 3)
    zone(tmp_path, "intel-rapl:1", "package-1", 7)
    zone(tmp_path, "intel-rapl:1:0", "core", 3)
    assert joules_of(tmp_path) == {"cpu0": 5.0, "cpu1": 7.0}


def test_an_amd_machine_under_amd_rapl(tmp_path: Path) -> None:
    zone(tmp_path, "amd-rapl:0", "package-0", 5)
    zone(tmp_path, "amd-rapl:0:0", "core", 3)
    assert joules_of(tmp_path) == {"cpu0": 5.0}


@pytest.mark.parametrize("other", ["intel-rapl-mmio", "amd-rapl"])
def test_a_package_in_two_trees_is_counted_once(tmp_path: Path, other: str) -> None:
    zone(tmp_path, f"{other}:0", "package-0", 99)
    zone(tmp_path, f"{other}:0:0", "dram", 98)
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    zone(tmp_path, "intel-rapl:0:2", "dram", 1)
    zone(tmp_path, "intel-rapl:1", "package-1", 7)
    assert joules_of(tmp_path) == {"cpu0": 5.0, "dram0": 1.0, "cpu1": 7.0}


def test_another_tree_helps_out_where_the_first_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", None)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    assert joules_of(tmp_path) == {"cpu0": 5.0}
    assert caplog.records == []


def test_dies_and_packages_of_one_tree_are_all_counted(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0-die-0", 1)
    zone(tmp_path, "intel-rapl:1", "package-0-die-1", 2)
    zone(tmp_path, "intel-rapl:2", "package-1", 4)
    zone(tmp_path, "intel-rapl:10", "package-1", 8)
    assert joules_of(tmp_path) == {"cpu0": 1.0, "cpu1": 2.0, "cpu2": 4.0, "cpu3": 8.0}


def test_dram_is_a_device_of_its_own_and_the_rest_is_none(tmp_path: Path) -> None:
    for package in (0, 1):
        zone(tmp_path, f"intel-rapl:{package}", f"package-{package}", 10 + package)
        zone(tmp_path, f"intel-rapl:{package}:0", "core", 50)
        zone(tmp_path, f"intel-rapl:{package}:1", "uncore", 60)
        zone(tmp_path, f"intel-rapl:{package}:2", "dram", 1 + package)
    zone(tmp_path, "intel-rapl:2", "psys", 70)
    assert joules_of(tmp_path) == {"cpu0": 10.0, "dram0": 1.0, "cpu1": 11.0, "dram1": 2.0}


def test_the_tree_itself_mounted_in_place_of_the_links(tmp_path: Path) -> None:
    package = zone(tmp_path / "intel-rapl", "intel-rapl:0", "package-0", 5)
    zone(package, "intel-rapl:0:0", "dram", 1)
    (package / "device").symlink_to(tmp_path / "intel-rapl")
    assert joules_of(tmp_path) == {"cpu0": 5.0, "dram0": 1.0}


def test_each_zone_wraps_at_its_own_range(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 999, wrap="1000000000")
    dram = zone(tmp_path, "intel-rapl:0:0", "dram", 64, wrap="65000000")
    clock = ManualClock()
    source = RaplSource(clock, powercap=tmp_path)
    for device in source.devices:
        source.read(device)
    clock.advance(1.0)
    (package / "energy_uj").write_text("49000000")
    (dram / "energy_uj").write_text("4000000")
    watts = {device.name: source.read(device).watts for device in source.devices}
    assert watts == {"cpu0": pytest.approx(50.0), "dram0": pytest.approx(5.0)}


@pytest.mark.parametrize("wrap", [None, "0", "", "unknown", "-1"])
def test_a_zone_without_a_range_has_no_wrap(tmp_path: Path, wrap: str | None) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 5, wrap=wrap)
    clock = ManualClock()
    source = RaplSource(clock, powercap=tmp_path)
    (device,) = source.devices
    assert device.wrap_joules is None
    source.read(device)
    clock.advance(1.0)
    (path / "energy_uj").write_text("1000000")
    assert source.read(device).watts is None


@pytest.mark.parametrize(("watts", "limit"), [("65000000", 260.0), ("0", 2000.0), ("n/a", 2000.0), (None, 2000.0)])
def test_the_power_limit_is_generous(tmp_path: Path, watts: str | None, limit: float) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5, watts=watts)
    (device,) = RaplSource(ManualClock(), powercap=tmp_path).devices
    assert device.power_limit_watts == limit


def test_what_is_readable_is_read_under_its_own_name_and_the_rest_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", None)
    zone(tmp_path, "intel-rapl:0:0", "dram", None)
    zone(tmp_path, "intel-rapl:0:1", "core", None)
    zone(tmp_path, "intel-rapl:1", "package-1", 7)
    zone(tmp_path, "intel-rapl:1:0", "dram", 2)
    with caplog.at_level(logging.WARNING):
        assert joules_of(tmp_path) == {"cpu1": 7.0, "dram1": 2.0}
    (record,) = caplog.records
    said = record.getMessage()
    assert f"{tmp_path}/intel-rapl:0/energy_uj, {tmp_path}/intel-rapl:0:0/energy_uj not readable" in said
    assert "intel-rapl:0:1" not in said
    assert f"sudo chmod a+r {tmp_path}/*/energy_uj" in said


def test_what_can_be_read_later_is_metered_from_then_on_for_whoever_holds_every_device(tmp_path: Path) -> None:
    powercap = tmp_path / "powercap"
    zone(powercap, "intel-rapl:0", "package-0", 5)
    later = zone(powercap, "intel-rapl:1", "package-1", None) / "energy_uj"
    clock = ManualClock()
    meter = Meter([RaplSource(clock, powercap=powercap)], tmp_path / "ledger", clock)
    meter.begin(StageRequest("run", "student"))
    meter.recover()
    assert [view.device.name for view in meter.snapshot().devices] == ["cpu0"]
    later.rmdir()
    joules = 1000.0
    later.write_text(f"{joules * 1e6:.0f}\n")
    meter.recover()
    for _ in range(100):
        clock.advance(0.1)
        joules += 3.0
        later.write_text(f"{joules * 1e6:.0f}\n")
        meter.sample()
    (series,) = [view for view in meter.snapshot().series if view.key.stage == "student"]
    # What the counter had shown before is nobody's.
    assert series.joules["cpu1"] == pytest.approx(300.0, abs=4.0)
    meter.close()


def test_nothing_readable_says_what_to_do(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", None)
    with pytest.raises(SourceUnavailable) as unavailable:
        RaplSource(ManualClock(), powercap=tmp_path)
    for remedy in ("intel-rapl:0/energy_uj", "sudo chmod a+r", "0444", "CAP_DAC_READ_SEARCH", "read-only"):
        assert remedy in str(unavailable.value)


def test_links_that_lead_nowhere_are_no_package(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").symlink_to(tmp_path / "hidden")
    with pytest.raises(SourceUnavailable, match=r"no RAPL package.*container"):
        RaplSource(ManualClock(), powercap=tmp_path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(PermissionError(13, "Permission denied"), "permission_denied"), (OSError(61, "No data available"), "powercap")],
)
def test_a_zone_that_fails_later_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    source = RaplSource(ManualClock(), powercap=tmp_path)

    def refuse(self: Path) -> str:
        raise error

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ReadFailed) as failed:
        source.read(source.devices[0])
    assert failed.value.reason == reason
