"""The files of the stack without an engine: every combination is valid, linted, documented, and keeps its promises."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from programs import program

ROOT = Path(__file__).parents[2]
OVERRIDES = ("compose.gpu.yaml", "compose.docker.yaml")
PROFILES = ("alerting", "scale")
LASTING = {"exporter", "prometheus", "grafana", "alertmanager", "remote-writer", "victoriametrics", "docker-proxy"}


def tool(name: str) -> str:
    found = program(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install -e '.[dev]'")
    return found


def clean(**settings: str) -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings}


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for n in range(len(names) + 1) for chosen in itertools.combinations(names, n)]


def config(overrides: tuple[str, ...] = (), profiles: tuple[str, ...] = (), **settings: str) -> dict[str, Any]:
    """The services as Compose understands them."""
    files = [option for name in ("compose.yaml", *overrides) for option in ("-f", name)]
    chosen = [option for name in profiles for option in ("--profile", name)]
    command = [tool("docker-compose"), *files, *chosen, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env=clean(**settings), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


@pytest.mark.parametrize("overrides", subsets(OVERRIDES), ids=str)
@pytest.mark.parametrize("profiles", subsets(PROFILES), ids=str)
def test_every_combination_is_valid_and_hardened(overrides: tuple[str, ...], profiles: tuple[str, ...]) -> None:
    services = config(overrides, profiles)
    assert ("alertmanager" in services) == ("alerting" in profiles)
    assert ("victoriametrics" in services) == ("remote-writer" in services) == ("scale" in profiles)
    assert ("docker-proxy" in services) == ("compose.docker.yaml" in overrides)
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"]), "pinned by tag"
        assert not service["image"].endswith(":latest")
        # What is built here is never asked of a registry, where a namesake might lie.
        assert (service.get("pull_policy") == "never") == service["image"].startswith("joulemark/"), name
        assert (service.get("restart") == "unless-stopped") == (name in LASTING), name
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", name
        sockets = [v for v in service.get("volumes", ()) if "docker.sock" in v["source"]]
        assert bool(sockets) == (name == "docker-proxy")


def test_gpus_go_to_the_exporter_and_to_the_workloads_alone() -> None:
    for name, service in config(("compose.gpu.yaml",), PROFILES).items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(devices) == (name == "exporter" or name.startswith("demo-")), name
    assert config(("compose.gpu.yaml",))["demo-teacher"]["image"].endswith("-cuda")
    assert config(("compose.gpu.yaml",))["exporter"]["environment"]["JOULEMARK_SOURCE"] == "nvml_counter"


def test_each_image_is_built_once_and_by_what_is_started_first() -> None:
    services = config()
    builders = {service["image"]: name for name, service in services.items() if "build" in service}
    assert builders == {"joulemark/exporter:0.1.0": "setup", "joulemark/workloads:0.1.0": "demo-check"}
    assert len([name for name, service in services.items() if "build" in service]) == 2


def test_the_demo_can_be_left_out_and_its_phases_wait_for_each_other() -> None:
    demo = ["demo-check", "demo-teacher", "demo-students", "demo-eval"]
    services = config()
    for before, after in itertools.pairwise(demo):
        assert services[after]["depends_on"][before]["condition"] == "service_completed_successfully"
    assert {config(JOULEMARK_DEMO="0")[name]["deploy"]["replicas"] for name in demo} == {0}


def test_every_setting_is_in_the_example_with_its_default() -> None:
    text = "".join((ROOT / name).read_text() for name in ("compose.yaml", *OVERRIDES))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    passed_on = re.findall(r"^ {6}(JOULEMARK_\w+):$", text, re.MULTILINE)
    example = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(used) | set(passed_on) == set(example) - {"COMPOSE_FILE", "COMPOSE_PROFILES"}
    both = {"JOULEMARK_SOURCE", "JOULEMARK_WORKLOADS_IMAGE"}
    assert {name: example[name] for name in used if name not in both} == {
        name: value for name, value in used.items() if name not in both
    }


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    plain = config()
    command = [tool("docker-compose"), "--env-file", ".env.example", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env=clean(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["services"] == plain


def test_dockerfiles_and_scripts_pass_their_linters() -> None:
    for linter, files in (
        ("hadolint", sorted((ROOT / "deploy" / "docker").glob("*.Dockerfile"))),
        ("shellcheck", sorted((ROOT / "deploy").rglob("*.sh"))),
    ):
        assert files
        done = subprocess.run([tool(linter), *map(str, files)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_prometheus_takes_its_configurations() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for name in ("compose.yml", "compose.docker.yml", "remote_write.yml", "prometheus.yml"):
        command = ["promtool", "check", "config", str(ROOT / "prometheus" / name)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_configurations_say_the_same_but_for_where_the_exporter_is() -> None:
    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((ROOT / "prometheus" / name).read_text())
        return found

    inside, outside, containers = read("compose.yml"), read("prometheus.yml"), read("compose.docker.yml")
    for key in ("global", "rule_files"):
        assert inside[key] == outside[key] == containers[key]
    assert inside["scrape_configs"] == containers["scrape_configs"][:-1]
    assert containers["scrape_configs"][-1]["job_name"] == "training-containers"
    by_job = {job["job_name"]: job for job in outside["scrape_configs"]}
    for job in inside["scrape_configs"]:
        same = {**job, "static_configs": None}
        assert same == {**by_job[job["job_name"]], "static_configs": None}


# As Grafana documents them: what it does not know it passes over without a word.
PROVIDER = {"name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds"}
PROVIDER |= {"allowUiUpdates", "options"}
DATASOURCE = {"name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser"}
DATASOURCE |= {"withCredentials", "isDefault", "jsonData", "secureJsonData", "version", "editable", "readOnly"}
PROMETHEUS_JSON = {"httpMethod", "timeInterval", "queryTimeout", "manageAlerts", "prometheusType", "cacheLevel"}
PROMETHEUS_JSON |= {"prometheusVersion", "incrementalQuerying", "exemplarTraceIdDestinations", "disableMetricsLookup"}


def test_provisioning_has_documented_keys_only_and_points_where_the_stack_puts_things() -> None:
    folder = ROOT / "grafana" / "provisioning"
    home = Path(config()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "grafana" / "dashboards" / home.name).exists()
    targets = {v["target"]: v for v in config()["grafana"]["volumes"]}
    assert targets["/etc/grafana/provisioning"]["source"].endswith("grafana/provisioning")
    for path in (folder / "dashboards").glob("*.y*ml"):
        file = yaml.safe_load(path.read_text())
        assert set(file) == {"apiVersion", "providers"}
        for provider in file["providers"]:
            assert set(provider) <= PROVIDER
            assert provider["type"] == "file"
            assert set(provider["options"]) <= {"path", "foldersFromFilesStructure"}
            assert provider["options"]["path"] in targets
    for path in (folder / "datasources").glob("*.y*ml"):
        file = yaml.safe_load(path.read_text())
        assert set(file) <= {"apiVersion", "datasources", "deleteDatasources", "prune"}
        for source in file["datasources"]:
            assert set(source) <= DATASOURCE
            assert set(source["jsonData"]) <= PROMETHEUS_JSON
            for variable in re.findall(r"\$\{?(\w+)", source["url"]):
                assert variable in config()["grafana"]["environment"]


def check(**settings: str) -> tuple[int, str]:
    """Exit code of deploy/docker/check.sh and what it said first."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "docker" / "check.sh"), *settings.pop("arguments", "").split()],
        env=clean(**settings), capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


def fake(folder: Path, name: str, script: str) -> None:
    """A program that answers as the real one would."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("compose", "docker", "said"),
    [
        ("exit 1", "exit 0", "install the Compose plugin"),
        ("echo 1.29.2", "exit 0", "Compose 1.29.2 is too old"),
        ("echo v2.17.3", "exit 0", "Compose 2.17.3 is too old"),
        ("echo 2.24.0", "echo 'permission denied while trying to connect' >&2; exit 1", "join the group docker"),
        ("echo 5.6.1", "echo 'Cannot connect' >&2; exit 1", "systemctl start docker"),
        ("echo 5.6.1", "exit 0", "NVIDIA Container Toolkit"),
    ],
)
def test_what_keeps_it_from_coming_up_is_said_first(tmp_path: Path, compose: str, docker: str, said: str) -> None:
    fake(tmp_path, "compose", compose)
    fake(tmp_path, "docker", docker)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, words = check(arguments="gpu", COMPOSE=str(tmp_path / "compose"), PATH=path)
    assert code == 1
    assert said in words
    assert words.startswith("wrong:")


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    import socket

    fake(tmp_path, "compose", "echo 2.30.0")
    fake(tmp_path, "docker", "exit 0")
    path = f"{tmp_path}:{os.environ['PATH']}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, words = check(COMPOSE=str(tmp_path / "compose"), PATH=path, PROMETHEUS_PORT=port)
    assert code == 1
    assert f"port {port} is taken" in words
    assert "set PROMETHEUS_PORT to another one in .env" in words


def test_the_first_start_makes_what_is_missing_and_says_what_cannot_be_written(tmp_path: Path) -> None:
    script = (ROOT / "deploy" / "docker" / "first_start.py").read_text()
    for name in ("state", "secrets", "grafana"):
        (tmp_path / name).mkdir()
    for place, name in (("/var/lib/joulemark", "state"), ("/run/joulemark/secrets", "secrets")):
        script = script.replace(f'"{place}"', f'"{tmp_path}/{name}"')
    script = script.replace('"/run/joulemark/grafana"', f'"{tmp_path}/grafana"')

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["python3", "-c", script], env=clean(**environment), capture_output=True, text=True)

    assert start().returncode == 0
    token = (tmp_path / "secrets" / "token").read_text()
    assert len(token) == 64
    assert (tmp_path / "secrets" / "tokens").read_text() == f"compose:{token}\n"
    assert (tmp_path / "secrets" / "token").stat().st_mode & 0o077 == 0
    password = (tmp_path / "grafana" / "admin_password").read_text()
    assert len(password) >= 20
    assert start().returncode == 0
    assert (tmp_path / "secrets" / "token").read_text() == token
    assert (tmp_path / "grafana" / "admin_password").read_text() == password
    assert start(GRAFANA_ADMIN_PASSWORD="mine").returncode == 0
    assert (tmp_path / "grafana" / "admin_password").read_text() == "mine"
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_text("no folder")
    done = start()
    assert done.returncode == 1
    assert done.stderr.startswith(f"joulemark: volume at {tmp_path}/state is not writable")
    assert "chown" in done.stderr
