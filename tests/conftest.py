"""What several tests need: a real exporter in a process of its own, and the mock NVML."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exporter_process import Exporter
from fake_exporter import FakeExporter
from meter_rig import Rig
from nvml_mock import Gpu, VirtualBench, build

from joulemark.client import timing


def pytest_configure() -> None:
    """A script's job in the background has Ctrl-C ignored, and so would all that the tests start."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What builds images takes minutes: whatever else is wrong is known before."""
    items.sort(key=lambda item: item.get_closest_marker("docker") is not None)


@pytest.fixture
def make_exporter(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    """Starts exporters on the test's own state folder and stops them at the end."""
    started: list[Exporter] = []

    def make(*options: str, env: dict[str, str] | None = None, client: dict[str, Any] | None = None) -> Exporter:
        exporter = Exporter(tmp_path / "state", *(options or ("--source", "replay")), env=env, client=client)
        started.append(exporter)
        return exporter.start()

    yield make
    for exporter in started:
        exporter.http.close()
        exporter.kill()


@pytest.fixture
def exporter(make_exporter: Callable[..., Exporter]) -> Exporter:
    """An exporter on the replay source."""
    return make_exporter()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeExporter]:
    """A fake exporter on loopback, for a client that is patient: a machine that stalls is no outage."""
    monkeypatch.setattr(timing, "WAIT_SECONDS", 10.0)
    exporter = FakeExporter()
    yield exporter
    exporter.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's beats and retries come at once, so that no test waits for them."""
    monkeypatch.setattr(timing, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(timing, "RETRY_SECONDS", 0.05)


@pytest.fixture(scope="session")
def other_host() -> str:
    """An address of this machine that is not loopback: who connects to it comes from another machine, so to say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing: it only chooses an address.
            host = str(probe.getsockname()[0])
        except OSError:
            host = "127.0.0.1"
    if host.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return host


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a freshly compiled mock libnvidia-ml.so.1."""
    try:
        return build(tmp_path_factory.mktemp("nvml"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def make_bench(nvml_library: Path, tmp_path: Path) -> Iterator[Callable[..., VirtualBench]]:
    """Makes meters in virtual time on scripted GPUs and stops them at the end."""
    made: list[VirtualBench] = []

    def make(*gpus: Gpu, **options: Any) -> VirtualBench:
        made.append(VirtualBench(nvml_library, tmp_path, list(gpus), **options))
        return made[-1]

    yield make
    for bench in made:
        bench.stop()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A meter on two scripted devices; at the end its stages must add up, once more after a crash."""
    rig = Rig(tmp_path)
    yield rig
    assert rig.residual() < 1e-6
    rig.restart()
    assert rig.residual() < 1e-6
    rig.crash()
