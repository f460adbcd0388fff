"""The whole stack in real containers: built, brought up, killed, taken down and brought up again, nothing lost.

One engine for all of it, and the tests follow each other in this order: each goes on where the one before left off. The
gigabyte of the workloads' image is built while the others run.
"""

from __future__ import annotations

import platform
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_engine import LocalEngine, why_not
from local_stack import LocalStack
from nvml_mock import Gpu, LiveMachine

pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(why_not()), reason=why_not() or "all is here")]

FILES, PROFILES = ("compose.docker.yaml",), ("alerting", "scale")
BASE, EXPORTER, WORKLOADS = "joulemark-test/base:1", "joulemark-test/exporter:1", "joulemark-test/workloads:1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The engine with its images; the stack is not up yet."""
    engine = LocalEngine(tmp_path_factory.mktemp("engine"))
    try:
        engine.make_images()
        yield LocalStack(engine)
    finally:
        engine.stop()


def test_the_exporters_image_is_small_and_has_neither_root_nor_compiler_nor_pytorch(stack: LocalStack) -> None:
    docker = stack.engine.docker
    sizes = [int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (BASE, EXPORTER)]
    assert sizes[1] - sizes[0] < 80e6
    inside = "id -u; command -v gcc cc; python3 -c 'import torch'; touch /opt/x; ls -A /src"
    said = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", EXPORTER, "-c", inside, check=False)
    assert said.splitlines()[0] == "10001"
    assert "/gcc" not in said
    assert "No module named 'torch'" in said
    assert "touch: cannot touch" in said
    assert_labels(stack, EXPORTER)


def assert_labels(stack: LocalStack, image: str) -> None:
    said = stack.engine.docker("image", "inspect", "--format", "{{json .Config.Labels}} {{.Config.User}}", image)
    assert "org.opencontainers.image.title" in said
    assert said.split()[-1].startswith("10001")


def said_first(stack: LocalStack, *files: str, **settings: str) -> str:
    """What plain `up` of somebody who looks on says before anything else, where it cannot come up."""
    code, said = stack.compose(
        "up", "--no-build", files=files, profiles=(), check=False, JOULEMARK_DEMO="0", **settings
    )
    stack.compose("down", "--volumes")
    assert code != 0
    # The progress of Compose is not from a service.
    return "\n".join(re.findall(r"^\S+ +\| (.*)$", said, re.MULTILINE))


def test_a_port_that_is_taken_is_the_first_that_is_said(stack: LocalStack) -> None:
    # A socket is of the network in which it was made.
    with stack.engine.inside(socket.socket) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = said_first(stack, JOULEMARK_PORT=port)
    assert said.startswith(f"wrong: port {port} is taken by another program, so exporter cannot start")
    assert "set JOULEMARK_PORT=" in said.splitlines()[1]


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has NVIDIA GPUs")
def test_a_missing_nvidia_driver_is_the_first_that_is_said(stack: LocalStack) -> None:
    said = said_first(stack, "compose.gpu.yaml")
    assert said.startswith("wrong: compose.gpu.yaml asks for NVIDIA GPUs, but this machine has no NVIDIA driver loaded")
    assert "leave compose.gpu.yaml out" in said.splitlines()[1]


def test_a_volume_that_cannot_be_written_is_the_first_that_is_said(stack: LocalStack, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    override = tmp_path / "volume.yaml"
    override.write_text(f'services: {{setup: {{volumes: ["{tmp_path}:/var/lib/joulemark"]}}}}')
    said = said_first(stack, str(override))
    assert said.startswith("joulemark: volume at /var/lib/joulemark is not writable (Permission denied)")
    assert "chown -R 10001:10001" in said.splitlines()[1]
    said = stack.engine.docker(
        "run", "--rm", "--network", "none", "-v", f"{tmp_path}:/var/lib/joulemark", EXPORTER, check=False
    )
    assert "/var/lib/joulemark" in said
    assert "Traceback" not in said


def test_the_exporter_in_its_container_reads_gpus_through_nvml(
    stack: LocalStack, nvml_library: Path, tmp_path: Path
) -> None:
    machine = LiveMachine(nvml_library, tmp_path, [Gpu(), Gpu()], watts=[100.0, 400.0])
    for folder in (nvml_library, tmp_path):
        folder.chmod(0o755)
    container = stack.engine.docker(
        "run", "-d", "--network", "none", "--read-only", "--cap-drop", "ALL",
        "-v", f"{nvml_library}:/nvml:ro", "-v", f"{tmp_path}:/script:ro",
        "-e", "LD_LIBRARY_PATH=/nvml", "-e", f"MOCK_NVML_SCRIPT=/script/{machine.script.path.name}",
        EXPORTER, "serve", "--source", "nvml_counter",
    ).strip()  # fmt: skip
    look = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9871/metrics').read().decode())"

    def metrics() -> str:
        return stack.engine.docker("exec", container, "python3", "-c", look, check=False)

    stack.until(lambda: 'joulemark_source_up{device="gpu1"} 1' in metrics(), "both GPUs are read")
    assert 'joulemark_power_watts{device="gpu1",phase="",run="",stage="unattributed"} 400' in metrics()
    stack.engine.docker("rm", "-f", container)


def test_a_labelled_container_is_booked_through_the_proxy_and_another_left_alone(stack: LocalStack) -> None:
    docker = stack.engine.docker
    stack.up(FILES, PROFILES, JOULEMARK_DEMO="0")
    runs_before = {run["run"] for run in stack.get("/api/v1/runs")}
    busy = ("--network", "none", BASE, "python3", "-c", "while True: pass")
    labels = ("--label", "joulemark.run=outside", "--label", "joulemark.stage=student")
    stack.until(lambda: b"joulemark_docker_up 1" in stack.get("/metrics"), "the engine is followed")
    docker("run", "-d", "--name", "plain", *busy)
    began = time.monotonic()
    docker("run", "-d", "--name", "labelled", *labels, *busy)
    stack.until(lambda: len(stack.get("/api/v1/stage")) == 1, "it is booked")
    booked = time.monotonic()
    stack.until(lambda: stack.get("/api/v1/stage")[0]["joules"] > 1, "it has used a joule")
    known = time.monotonic() - booked
    docker("pause", "labelled")
    stack.until(lambda: stack.get("/api/v1/stage") == [], "while it is paused nothing is")
    docker("unpause", "labelled")
    stack.until(lambda: len(stack.get("/api/v1/stage")) == 1, "it goes on")
    docker("kill", "labelled", "plain")
    stack.until(lambda: stack.get("/api/v1/stage") == [], "it is ended")
    windows = stack.get("/api/v1/windows?run=outside")
    assert [window["stage"] for window in windows] == ["student"] * 2
    assert known < sum(window["seconds"] for window in windows) < time.monotonic() - began
    assert max(window["joules"] for window in windows) > 1
    assert {run["run"] for run in stack.get("/api/v1/runs")} == runs_before | {"outside"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/containers/json", 200),
        ("GET", "/v1.41/version", 200),
        ("POST", "/containers/create", 403),
        ("DELETE", "/containers/x", 403),
        ("GET", "/images/json", 403),
        ("GET", "/containers/x/archive?path=/", 403),
        ("GET", "/containers/x/..%2f..%2fimages/json", 403),
    ],
)
def test_the_proxy_lets_reads_through_and_nothing_else(stack: LocalStack, method: str, path: str, status: int) -> None:
    ask = (
        "import http.client, sys; c = http.client.HTTPConnection('docker-proxy', 2375, timeout=10);"
        "c.request(*sys.argv[1:]); print(c.getresponse().status)"
    )
    said = stack.engine.docker("exec", stack.container("exporter"), "python3", "-c", ask, method, path)
    assert said.strip() == str(status)


def test_a_container_that_exports_metrics_is_scraped_with_its_runs_name(stack: LocalStack) -> None:
    page = "mkdir /tmp/w && cd /tmp/w && echo 'training_loss 0.25' > metrics && exec python3 -m http.server 8000"
    labels = ("--label", "prometheus.port=8000", "--label", "joulemark.run=exports", "--label", "joulemark.stage=eval")
    stack.engine.docker(
        "run", "-d", "--name", "exports", "--network", "joulemark-test_default", *labels, BASE, "sh", "-c", page
    )
    loss = 'training_loss{job="training-containers", run="exports"}'
    stack.until(lambda: stack.value(loss) == 0.25, "it is scraped")
    joined = f"{loss} * on (run) group_left () max by (run) (joulemark_stage_active)"
    stack.until(lambda: stack.value(joined) == 0.25, "loss and stage join by the run's name")
    stack.engine.docker("rm", "-f", "exports")
    stack.until(lambda: stack.get("/api/v1/stage") == [], "it is ended")


def test_a_kill_in_the_middle_of_a_stage_loses_nothing(stack: LocalStack) -> None:
    window = stack.put_stage("killed", "teacher")["id"]
    killed = 'sum(joulemark_energy_joules_total{run="killed"})'
    stack.until(lambda: (stack.value(killed) or 0) > 1, "a joule is booked and scraped")
    stack.engine.docker("kill", stack.container("exporter"))
    seen = stack.value('sum(max_over_time(joulemark_energy_joules_total{run="killed"}[1m]))') or 0
    assert seen > 1
    time.sleep(2)
    stack.engine.docker("start", stack.container("exporter"))
    stack.until(lambda: stack.get("/-/ready") is not None, "the exporter is back")
    [active] = stack.get("/api/v1/stage")
    assert active["id"] == window
    assert active["joules"] >= seen
    # The two seconds without an exporter are booked to the stage, as the kernel's counter went on.
    assert active["seconds"] > 2
    stack.until(lambda: stack.value('up{job="joulemark"}') == 1, "it is scraped again")
    stack.until(lambda: (stack.value(killed) or 0) >= active["joules"], "Prometheus has seen more")
    missing = "sum(joulemark_energy_joules_total) - sum(joulemark_device_energy_joules_total)"
    assert stack.value(missing) == pytest.approx(0, abs=1e-6)
    assert stack.value("max(resets(joulemark_energy_joules_total[10m]))") == 0
    stack.end_stage(window)


def test_it_stops_in_time_with_its_ledger_committed(stack: LocalStack) -> None:
    container = stack.container("exporter")
    began = time.monotonic()
    stack.engine.docker("stop", "--time", "10", container)
    assert time.monotonic() - began < 5
    assert stack.exit_code("exporter") == 0
    assert "ledger committed" in stack.engine.docker("logs", "--tail", "3", container, check=False)
    stack.engine.docker("start", container)
    stack.until(lambda: stack.get("/-/ready") is not None, "the exporter is back")


def test_profiles_bring_alerts_to_alertmanager_and_all_samples_to_victoriametrics(stack: LocalStack) -> None:
    recorded = 'run:joulemark_energy_joules:sum{run="outside"}'
    stack.until(lambda: stack.copied(recorded), "VictoriaMetrics has what the rules record")
    # It is ended, so the last of it stays.
    assert stack.copied(recorded)[-1] == pytest.approx(stack.value(recorded), rel=1e-9)
    stack.until(stack.alertmanagers, "Prometheus has found the Alertmanager by its name")


def test_another_up_of_what_runs_finds_nothing_wrong(stack: LocalStack) -> None:
    stack.up(FILES, PROFILES, JOULEMARK_DEMO="0")
    for service in ("preflight", "preflight-alerting", "preflight-scale"):
        assert stack.exit_code(service) == 0
        assert stack.engine.docker("logs", stack.container(service), check=False) == ""


def test_after_down_an_up_brings_the_totals_back_and_ends_with_a_distillation(stack: LocalStack) -> None:
    before, token = stack.ledger(), stack.token()
    assert {run for _, run, _ in before} >= {"killed", "outside"}
    stack.compose("down", files=FILES, profiles=PROFILES)
    # A line of its own, not the command that prints it.
    assert re.search(r"^\W*(91m)?PyTorch as pip finds it: WITH CUDA", stack.engine.workloads.result(), re.MULTILINE)
    assert_labels(stack, WORKLOADS)
    stack.up()
    assert stack.token() == token
    after = stack.ledger()
    assert {key: after[key] for key in before} == pytest.approx(before, rel=1e-12)
    stack.until(lambda: stack.exit_code("demo-eval") is not None, "the demo has ended", 400)
    assert [stack.exit_code(f"demo-{x}") for x in ("check", "teacher", "students", "eval")] == [0, 0, 0, 0]
    ledger = stack.ledger()
    assert {key: ledger[key] for key in before} == pytest.approx(before, rel=1e-12)
    stages = {stage for _, run, stage in ledger if run == "kd-demo"}
    assert stages == {"prerun", "data", "teacher", "student", "eval"}
    # The last joules are settled, and then scraped.
    stack.until(lambda: stack.by_stage(".+") == pytest.approx(stack.ledger(), rel=1e-9), "Prometheus has the ledger's")
    assert min(ledger.values()) >= 0
    assert (stack.value('sum(joulemark_energy_joules_total{run="kd-demo"})') or 0) > 1


def check_with(stack: LocalStack, *variables: str) -> tuple[int, str]:
    """What the demo's first container says with other variables."""
    options = [word for variable in variables for word in ("-e", variable)]
    return stack.compose("run", "--rm", "--no-deps", *options, "demo-check", check=False)


def test_a_wrong_token_is_told_before_the_demo_starts(stack: LocalStack) -> None:
    code, said = check_with(stack, "JOULEMARK_TOKEN=" + "x" * 32)
    assert code == 1
    assert "token is wrong or missing" in said
    assert "JOULEMARK_TOKEN_FILE" in said


def test_another_clock_in_a_container_is_told_before_the_demo_starts(stack: LocalStack) -> None:
    library = f"LD_PRELOAD=/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"
    code, said = check_with(stack, library, "FAKETIME=-1h", "DONT_FAKE_MONOTONIC=1")
    assert code == 0, "no joule is wrong by it"
    found = re.search(r"beware: this clock is (\d+) s behind the exporter's", said)
    assert found
    assert abs(int(found[1]) - 3600) < 60
    assert "NTP" in said
