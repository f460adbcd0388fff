"""Starts and stops what a run is watched by: an exporter and a Prometheus, as processes of this user.

`python -m joulemark_workloads.stack up` keeps them running for browsing, `down` stops them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

console = Console(soft_wrap=True, highlight=False)
HOME = Path(".joulemark")
STATE_FILE = HOME / "stack.json"
CONFIG = Path("prometheus/prometheus.yml")
EXPORTER_PORT = 9871
PROMETHEUS_PORT = 9090
_DEFAULT_TARGET = f"127.0.0.1:{EXPORTER_PORT}"


class StackError(Exception):
    """A part that does not come up; the message names cause and remedy."""


@dataclass(frozen=True)
class Stack:
    """Running parts: their addresses and process ids; Prometheus is None where there is none."""

    exporter_url: str
    exporter_pid: int
    prometheus_url: str | None = None
    prometheus_pid: int | None = None

    @property
    def pids(self) -> list[int]:
        """Process ids in the order in which they are stopped: who scrapes first."""
        return [pid for pid in (self.prometheus_pid, self.exporter_pid) if pid is not None]


def running() -> Stack | None:
    """The stack that an earlier `up` or demo left running here; one with a dead part is stopped and counts as none."""
    try:
        stack = Stack(**json.loads(STATE_FILE.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    if all(_is_ours(pid) for pid in stack.pids):
        return stack
    stop(stack)
    return None


def start() -> Stack:
    """Start exporter and Prometheus and wait until both answer; raises StackError after stopping what it started.

    The exporter takes its settings from JOULEMARK_… variables, as ever.
    """
    if not CONFIG.exists():
        raise StackError(f"{CONFIG} is not here: run this in the folder of the joulemark checkout")
    HOME.mkdir(exist_ok=True)
    port = int(os.environ.get("JOULEMARK_PORT", EXPORTER_PORT))
    if not _is_free(port):
        raise StackError(f"port {port} is in use: stop what listens there, or set JOULEMARK_PORT to another")
    url = f"http://127.0.0.1:{port}"
    stack = Stack(url, _start_exporter(port))
    try:
        _save(stack)
        _wait(f"{url}/-/ready", stack.exporter_pid, "exporter")
        stack = _with_prometheus(stack, port)
        _save(stack)
        if stack.prometheus_url and stack.prometheus_pid:
            _wait(f"{stack.prometheus_url}/-/ready", stack.prometheus_pid, "prometheus")
    except BaseException:
        stop(stack)
        raise
    return stack


def stop(stack: Stack) -> None:
    """Stop every part and wait for it; the exporter commits its ledger on the way."""
    for pid in stack.pids:
        _stop(pid)
    STATE_FILE.unlink(missing_ok=True)


def _start_exporter(port: int) -> int:
    command = [
        str(Path(sys.executable).with_name("joulemark")), "serve",
        "--web.listen-address", f"127.0.0.1:{port}", "--state-dir", str(HOME / "ledger"),
    ]  # fmt: skip
    return _spawn(command, "exporter")


def _with_prometheus(stack: Stack, exporter_port: int) -> Stack:
    binary = shutil.which("prometheus")
    if binary is None:
        console.print(
            "[yellow]No Prometheus on PATH:[/] figures come from the ledger alone. "
            "Install it with 'sudo apt-get install prometheus' to have it."
        )
        return stack
    port = int(os.environ.get("PROMETHEUS_PORT", 0)) or _free_port(PROMETHEUS_PORT)
    if not _is_free(port):
        raise StackError(f"port {port} is in use: set PROMETHEUS_PORT to another")
    command = [
        binary, f"--config.file={_config_for(exporter_port)}", f"--storage.tsdb.path={HOME / 'prometheus'}",
        "--storage.tsdb.retention.time=90d", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    pid = _spawn(command, "prometheus")
    return Stack(stack.exporter_url, stack.exporter_pid, f"http://127.0.0.1:{port}", pid)


def _config_for(exporter_port: int) -> Path:
    """This repository's configuration; a copy with another target when the exporter is not on its usual port."""
    if exporter_port == EXPORTER_PORT:
        return CONFIG
    # The same ledger keeps its instance, whatever the port: else its counters would be there twice.
    target = f'["127.0.0.1:{exporter_port}"]\n        labels: {{instance: "{_DEFAULT_TARGET}"}}'
    text = CONFIG.read_text().replace(f'["{_DEFAULT_TARGET}"]', target)
    for folder in ("rules/", "alerts/", "targets/", "alertmanagers/"):
        text = text.replace(f"- {folder}", f"- {CONFIG.parent.resolve()}/{folder}")
    path = HOME / "prometheus.yml"
    path.write_text(text)
    return path


def _spawn(command: list[str], name: str) -> int:
    """Start a part in a session of its own, so that Ctrl-C reaches the demo first; its output goes to a log."""
    (HOME / "log").mkdir(parents=True, exist_ok=True)
    with _log(name).open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True).pid


def _wait(url: str, pid: int, name: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _is_alive(pid):
            break
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  loopback, made above
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    tail = "\n".join(_log(name).read_text().splitlines()[-5:])
    raise StackError(f"{name} did not come up; the end of {_log(name)}:\n{tail}")


def _stop(pid: int, seconds: float = 10.0) -> None:
    if not _is_ours(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _is_alive(pid):
        os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        # Our own child is a zombie until waited for; somebody else's cannot be waited for.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    return Path(f"/proc/{pid}").exists()


def _is_ours(pid: int) -> bool:
    """Whether the process is one of ours and not a stranger that got the same number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"joulemark" in command and _is_alive(pid)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port(preferred: int) -> int:
    return next(port for port in range(preferred, preferred + 100) if _is_free(port))


def _log(name: str) -> Path:
    return HOME / "log" / f"{name}.log"


def _save(stack: Stack) -> None:
    STATE_FILE.write_text(json.dumps(vars(stack)))


QUERIES = (
    ("Joules by run and stage", "run_stage:joulemark_energy_joules:sum"),
    ("Joules per token by stage", "run_stage:joulemark_energy_joules_per_token:ratio"),
    ("Watts now, by the stage they work for", "sum by (run, stage) (joulemark_power_watts)"),
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Keep the stack running for browsing.")


@app.command()
def up() -> None:
    """Start exporter and Prometheus, print their addresses and three queries worth trying."""
    found = running()
    stack = found or _start_or_exit()
    console.print(f"[green]{'Already running' if found else 'Running'}[/]; 'make down' stops it.")
    console.print(f"  exporter    {stack.exporter_url}  (metrics at /metrics, API at /docs)")
    console.print(f"  prometheus  {stack.prometheus_url or 'not installed'}")
    console.print("Queries worth trying:")
    for title, query in QUERIES:
        console.print(f"  {title}: [bold]{query}[/]")


@app.command()
def down() -> None:
    """Stop what `up` started."""
    stack = running()
    if stack is None:
        console.print("Nothing is running.")
        return
    stop(stack)
    console.print("Stopped; the ledger is committed.")


def _start_or_exit() -> Stack:
    try:
        return start()
    except StackError as error:
        console.print(f"[bold red]joulemark:[/] {escape(str(error))}")
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
