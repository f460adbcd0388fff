"""Several GPUs: read side by side where calls take long, and none held up by one that is slow, hung or split by MIG."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exporter_process import Exporter
from nvml_mock import Constant, Gpu, LiveMachine, Square, VirtualBench

from joulemark.clock import SystemClock
from joulemark.errors import InvalidField
from joulemark.ledger.state import StageRequest
from joulemark.meter.reader import Found, Look, ThreadedReader
from joulemark.sources.base import Device, Reading, Vitals

MakeBench = Callable[..., VirtualBench]
MakeExporter = Callable[..., Exporter]


class HeldSource:
    """Devices whose readings wait until they are let go; it counts how many are under way at once."""

    def __init__(self, held: set[str], barrier: threading.Barrier | None = None) -> None:
        self.held = held
        self.barrier = barrier
        self.let_go = threading.Event()
        self.devices = tuple(Device(name, name, "held") for name in ("gpu0", "gpu1", "gpu2", "gpu3"))

    def read(self, device: Device, *, power: bool = True) -> Reading:
        if self.barrier:
            self.barrier.wait(timeout=30)
        if device.key in self.held:
            self.let_go.wait(timeout=60)
        return Reading(time.monotonic(), 1.0, None)

    def vitals(self, device: Device) -> Vitals | None:
        return Vitals(temperature_celsius=40.0)

    def recover(self, failing: frozenset[str]) -> None: ...

    def close(self) -> None: ...


class Desk:
    """A threaded reader and all that it brought."""

    def __init__(self, source: HeldSource) -> None:
        self.source = source
        self.found: list[str] = []
        self.vitals: list[str] = []
        self.reader = ThreadedReader(self._found, lambda device, _: self.vitals.append(device.key), SystemClock())

    def read(self, patience: float, *, vitals: bool = False) -> None:
        looks = [Look(device, self.source, vitals=vitals) for device in self.source.devices]
        self.reader.read(looks, patience)

    def _found(self, found: Found) -> None:
        self.found.append(found.device.key)


@pytest.fixture
def make_desk() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*held: str, barrier: threading.Barrier | None = None) -> Desk:
        made.append(Desk(HeldSource(set(held), barrier)))
        return made[-1]

    yield make
    for desk in made:
        desk.source.let_go.set()
        desk.reader.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_device_that_hangs_delays_no_other(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("gpu0")
    desk.read(0.05)
    wait_until(lambda: sorted(desk.found) == ["gpu1", "gpu2", "gpu3"])
    desk.read(0.05)
    wait_until(lambda: len(desk.found) == 6)
    assert sorted(desk.found) == ["gpu1", "gpu1", "gpu2", "gpu2", "gpu3", "gpu3"]
    assert set(desk.reader.hung(0.01)) == {"gpu0"}
    desk.source.let_go.set()
    wait_until(lambda: "gpu0" in desk.found)
    wait_until(lambda: not desk.reader.hung(0.0))
    desk.read(20.0)
    wait_until(lambda: desk.found.count("gpu0") == 2)


def test_a_device_is_never_read_twice_at_once(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("gpu0")
    for _ in range(5):
        desk.read(0.01)
    desk.source.let_go.set()
    wait_until(lambda: "gpu0" in desk.found)
    assert desk.found.count("gpu0") == 1


def test_where_no_thread_can_be_had_nobody_who_orders_fails_and_what_was_ordered_is_read_later(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    desk = make_desk()
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        desk.reader.order([Look(device, desk.source) for device in desk.source.devices])
    assert "no thread can be had" in caplog.text
    assert desk.found == []
    desk.reader.order([Look(desk.source.devices[0], desk.source)])
    wait_until(lambda: sorted(desk.found) == ["gpu0", "gpu1", "gpu2", "gpu3"])


def test_slow_devices_are_read_side_by_side(make_desk: Callable[..., Desk]) -> None:
    # Nobody gets through before all four readings are under way.
    desk = make_desk(barrier=threading.Barrier(4))
    desk.read(0.01)
    wait_until(lambda: sorted(desk.found) == ["gpu0", "gpu1", "gpu2", "gpu3"])


def test_vitals_that_were_asked_for_during_a_call_come_after_it(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk("gpu0")
    desk.read(0.02)
    desk.read(0.02, vitals=True)
    assert "gpu0" not in desk.vitals
    desk.source.let_go.set()
    wait_until(lambda: "gpu0" in desk.vitals)


def test_every_gpu_has_its_own_joules_whatever_its_ticks(make_bench: MakeBench) -> None:
    bench = make_bench(
        Gpu({"tick": 0.1}), Gpu({"tick": 0.02, "phase": 0.007}), Gpu({"tick": 0.05, "jitter": 0.3}),
        Gpu({"counter": 0}), Gpu({"tick": 0.1, "latency": 0.001}),
    )  # fmt: skip
    bench.wait(4.0)
    for gpu, watts in enumerate((100.0, 200.0, 300.0, 400.0, 500.0)):
        bench.script.power(bench.clock.steady(), Constant(watts), gpu)
    errors = bench.run([("a", 5.0, Square(100.0, 650.0, 0.9)), ("b", 5.0, Constant(350.0))])
    for error in errors:
        assert error.holds or error.ratio < 0.002, error
        assert error.ratio < (0.05 if error.device == "gpu3" else 0.01), error
    assert abs(bench.residual()) < 1e-8


def test_a_gpu_of_slow_calls_spoils_no_other(make_bench: MakeBench) -> None:
    # In virtual time calls come one after another: each look at the slow one takes 0.1 s of the others' time too.
    bench = make_bench(Gpu(), Gpu({"latency": 0.05}))
    bench.wait(4.0)
    for error in bench.run([("a", 6.0, Constant(500.0)), ("b", 6.0, Constant(150.0))]):
        assert abs(error.error) < 60.0, error
        assert error.holds, error


def test_one_hung_gpu_delays_neither_a_scrape_nor_a_transition_nor_the_others(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    exporter.wait_for("both up", lambda found: found['joulemark_source_up{device="gpu0"}'] == 1)
    machine.fault("hang", gpu=0)
    down = exporter.wait_for("gpu0 down", lambda found: found['joulemark_source_up{device="gpu0"}'] == 0)
    assert down['joulemark_source_up{device="gpu1"}'] == 1
    assert 'joulemark_power_watts{device="gpu0",phase="",run="",stage="unattributed"}' not in down
    took = []
    window = ""
    for stage in ("data", "teacher", "student"):
        began = time.monotonic()
        window = exporter.put_stage("kd", stage)["id"]
        exporter.metrics()
        took.append(time.monotonic() - began)
    # A call that hangs is waited for by nobody: with it these would take for ever.
    assert min(took) < 2.0
    before = exporter.metrics()
    since = machine.now()
    exporter.wait_for("a second", lambda _: machine.now() - since > 1.5)
    after = exporter.metrics()
    reads = 'joulemark_reads_total{device="gpu1"}'
    assert after[reads] - before[reads] > 5
    assert after['joulemark_read_errors_total{device="gpu0",reason="call_hung"}'] > 0
    machine.mend()
    exporter.wait_for("gpu0 back", lambda found: found['joulemark_source_up{device="gpu0"}'] == 1)
    gap = exporter.wait_for("a gap", lambda found: found['joulemark_read_gap_seconds_total{device="gpu0"}'] > 1)
    assert gap['joulemark_read_gap_seconds_total{device="gpu1"}'] == 0
    summary = exporter.end_stage(window)
    for device, watts in (("gpu0", 100.0), ("gpu1", 400.0)):
        error = abs(summary["joules_by_device"][device] - watts * summary["seconds"])
        assert error <= summary["uncertainty_joules"] + 0.1


def test_the_others_are_read_as_often_though_nobody_asks_for_it_while_one_hangs(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    exporter.wait_for("both up", lambda found: found['joulemark_source_up{device="gpu0"}'] == 1)
    reads = 'joulemark_reads_total{device="gpu1"}'
    # The exporter's own regular reading runs into the call that hangs: nobody else makes one.
    before = exporter.metrics()
    machine.fault("hang", gpu=0)
    time.sleep(4.0)
    after = exporter.metrics()
    assert after['joulemark_source_up{device="gpu0"}'] == 0
    assert after[reads] - before[reads] >= 15


def test_an_exporter_with_a_hung_gpu_still_ends(
    make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    machine.fault("hang", gpu=0)
    exporter.wait_for("gpu0 down", lambda found: found['joulemark_source_up{device="gpu0"}'] == 0)
    assert exporter.terminate() == 0


def test_the_energy_of_a_board_with_mig_on_is_booked_once(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"mig": 1}), Gpu())
    bench.wait(4.0)
    for run in ("one", "two"):
        bench.meter.begin(StageRequest(run, "student", devices=["gpu0"], share=True))
    now = bench.clock.steady()
    bench.script.power(now, Constant(300.0))
    bench.script.save()
    bench.wait(10.0)
    series = {key.run: totals for key, totals in bench.meter.ledger.state.series.items()}
    one, two = (sum(series[run].joules.values()) for run in ("one", "two"))
    assert one == pytest.approx(two)
    assert one + two == pytest.approx(bench.gpus[0].joules(now, bench.clock.steady()), abs=300 * 0.2)
    views = bench.meter.snapshot().devices
    assert [(view.device.name, view.device.mig) for view in views] == [("gpu0", True), ("gpu1", False)]


def test_a_window_on_a_mig_instance_is_told_what_can_be_known(make_bench: MakeBench) -> None:
    bench = make_bench(Gpu({"mig": 1}))
    with pytest.raises(InvalidField) as refused:
        bench.meter.begin(StageRequest("run", "student", devices=["MIG-5f4d1a0c-1c3e-5d3b-9f37-3a1f2b7c8d9e"]))
    assert refused.value.field == "devices"
    assert "MIG instance, and energy is known for the whole board only" in refused.value.detail
    assert "name the board" in refused.value.remedy
    assert "share" in refused.value.remedy
    assert bench.meter.active() == []


def test_the_same_is_said_over_http(make_exporter: MakeExporter, nvml_library: Path, tmp_path: Path) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu({"mig": 1})], watts=[100.0])
    exporter = make_exporter("--source", "nvml_counter", env=machine.environment)
    body = {"run": "kd", "stage": "student", "devices": ["MIG-5f4d1a0c-1c3e-5d3b-9f37-3a1f2b7c8d9e"]}
    answer = exporter.http.put("/api/v1/stage", json=body)
    assert answer.status_code == 422
    assert "whole board only" in answer.text
    (device,) = exporter.http.get("/api/v1/devices").json()
    assert device["mig"] is True
