"""What the recording rules cost a Prometheus: milliseconds by group for a fleet of runs.

    python benchmarks/rule_cost.py [--runs 500] [--nodes 10] [--seconds 200] [--interval 15]

A real Prometheus scrapes a fleet whose runs are all still on /metrics (the dearest case: of runs that left it only the
memory is evaluated) and follows this repository's rules. Two figures by group: the wall time that Prometheus itself
reports (median and most of all evaluations), and the CPU time of all its rules, asked one by one afterwards while
nothing else runs, which depends little on how busy the machine is.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[1] / "prometheus" / "rules"
STAGES = (
    ("prerun", "idle"), ("prerun", "burn_in"), ("data", ""), ("teacher", "logit_caching"), ("student", "kd"),
    ("student", "checkpoint"), ("eval", "gsm8k"), ("eval", "serving"),
)  # fmt: skip
TOKENS = {"teacher": ("cached",), "student": ("trained",), "eval": ("evaluated", "generated"), "data": ("prompt",)}
DEVICES = ("gpu0", "cpu0")
BENCHMARKS = ("gsm8k", "ifeval", "mmlu", "alpaca", "mt_bench")
REPEATS = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PORT = free_port()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=200.0, help="how long rules are evaluated; 130 at least")
    parser.add_argument("--interval", type=int, default=15, help="seconds between scrapes, and between evaluations")
    options = parser.parse_args()
    pages = [page(node, options.runs, options.nodes) for node in range(options.nodes)]
    server = serve(pages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configure(folder, options.nodes, server.server_port, options.interval)
        prometheus = subprocess.Popen(
            ["prometheus", "--config.file=p.json", "--storage.tsdb.path=data", "--log.level=error",
             "--web.enable-lifecycle", f"--web.listen-address=127.0.0.1:{PORT}"], cwd=folder,
        )  # fmt: skip
        try:
            walls = watch(options.seconds)
            groups: list[dict[str, Any]] = call("rules")["groups"]
            configure(folder, options.nodes, server.server_port, None)
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/reload", b"").close()
            report(options, groups, walls, time.time() - 2, prometheus.pid, sum(p.count(b"\n") for p in pages))
        finally:
            prometheus.terminate()
            prometheus.wait()
            server.shutdown()


def page(node: int, runs: int, nodes: int) -> bytes:
    """The /metrics of one node: its share of the runs, none of which is running but the first."""
    lines = [f'joulemark_ledger_info{{ledger="l{node}"}} 1', "joulemark_pue_ratio 1.2"]
    lines += ['joulemark_carbon_intensity_grams_per_kwh{zone="DE",source="table"} 344']
    lines += ['joulemark_electricity_price_per_kwh{currency="EUR"} 0.3']
    lines += [f'joulemark_device_energy_joules_total{{device="{device}"}} 1e9' for device in DEVICES]
    for run in range(node, runs, nodes):
        lines += facts(run)
        lines += [line for number, (stage, phase) in enumerate(STAGES) for line in energy(run, number, stage, phase)]
    return ("\n".join(lines) + "\n").encode()


def facts(run: int) -> Iterator[str]:
    """Grids of seven students and three pipelines, repeated with other seeds; the first grid makes the artifacts."""
    name, pipeline, student = f"run-{run}", ("sft", "kd", "synthetic_sft")[run % 3], f"S{run // 3 % 7}"
    what = f'pipeline="{pipeline}",student="{student}",teacher="T",dataset="D",origin="measured"'
    yield f'joulemark_run_info{{run="{name}",{what}}} 1'
    yield f'joulemark_run_cell_info{{run="{name}",cell="{pipeline} {student}",seed="{run // 21}"}} 1'
    yield f'joulemark_run_reference_info{{run="{name}",reference="run-0"}} 1'
    yield from (f'joulemark_run_idle_power_watts{{run="{name}",device="{device}"}} 60' for device in DEVICES)
    for benchmark in BENCHMARKS:
        yield f'joulemark_run_score{{run="{name}",benchmark="{benchmark}"}} 0.5'
        yield f'joulemark_run_reference_score{{run="{name}",benchmark="{benchmark}"}} 0.7'
    if pipeline != "sft":
        yield f'joulemark_run_baseline_info{{run="{name}",baseline="run-{run - run % 3}"}} 1'
        for role in ("consumed", "produced") if run % 21 < 3 else ("consumed",):
            yield f'joulemark_run_artifact{{run="{name}",artifact="a{run // 21}{pipeline}",kind="x",role="{role}"}} 1'


def energy(run: int, number: int, stage: str, phase: str) -> Iterator[str]:
    """The series of one phase of a stage; plain fine-tuning has no teacher."""
    if stage == "teacher" and run % 3 == 0:
        return
    labels = f'run="run-{run}",stage="{stage}",phase="{phase}"'
    for device in DEVICES:
        joules = 1000 * (number + 1) + (1000 if run % 3 == 0 else run % 7)
        yield f'joulemark_energy_joules_total{{device="{device}",{labels}}} {joules}'
        yield f'joulemark_power_integral_joules_total{{device="{device}",{labels}}} {joules * 1.01}'
        if run < 10 and phase == "kd":
            yield f'joulemark_power_watts{{device="{device}",{labels}}} 300'
    yield f"joulemark_stage_seconds_total{{{labels}}} {100 * (number + 1)}"
    yield f"joulemark_energy_uncertainty_joules{{{labels}}} 5"
    for kind in TOKENS.get(stage, ()):
        yield f'joulemark_stage_tokens_total{{{labels},kind="{kind}"}} {1000 * (number + 1)}'


def serve(pages: list[bytes]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(pages[int(self.path[1:])])

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def configure(folder: Path, nodes: int, port: int, interval: int | None) -> None:
    """Write the configuration; without an interval no rule is evaluated and nothing is scraped any more."""
    scrapes = [
        {"job_name": f"n{node}", "metrics_path": f"/{node}", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
         "relabel_configs": [{"target_label": "job", "replacement": "joulemark"},
                             {"target_label": "instance", "replacement": f"node{node}"}]}
        for node in range(nodes)
    ]  # fmt: skip
    pace = f"{interval}s" if interval else "1h"
    settings = {"scrape_interval": pace, "scrape_timeout": pace, "evaluation_interval": pace}
    rules = [f"{RULES}/*.yml"] if interval else []
    (folder / "p.json").write_text(json.dumps({"global": settings, "rule_files": rules, "scrape_configs": scrapes}))


def watch(seconds: float) -> dict[str, list[float]]:
    """Wall milliseconds of every evaluation, by group; a group's first, on no data, left out."""
    seen: dict[str, dict[str, float]] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(1)
        try:
            groups = call("rules")["groups"]
        except OSError:
            continue
        for group in groups:
            assert not [rule for rule in group["rules"] if rule["health"] == "err"], group
            seen.setdefault(group["name"], {})[group["lastEvaluation"]] = 1000 * group["evaluationTime"]
    return {name: list(values.values())[1:] for name, values in seen.items()}


def report(
    options: argparse.Namespace,
    groups: list[dict[str, Any]],
    walls: dict[str, list[float]],
    at: float,
    pid: int,
    lines: int,
) -> None:
    machine = f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    every = f"every {options.interval} s"
    print(f"{options.runs} runs on {options.nodes} nodes, {lines} series scraped {every}, {machine}\n")
    print("| group | every | rules | CPU ms | wall ms, median | wall ms, most |\n|---|---|---|---|---|---|")
    for group in sorted(groups, key=lambda group: str(group["name"])):
        spent = sum(cpu_milliseconds(rule["query"], at, pid) for rule in group["rules"])
        wall = walls[group["name"]] or [float("nan")]
        print(
            f"| {group['name']} | {group['interval']:.0f} s | {len(group['rules'])} | {spent:.0f} "
            f"| {statistics.median(wall):.0f} | {max(wall):.0f} |"
        )


def cpu_milliseconds(query: str, at: float, pid: int) -> float:
    """CPU time of one evaluation as a query, mean of some."""
    before = cpu_seconds(pid)
    for _ in range(REPEATS):
        call("query", query=f"count({query})", time=str(at))
    return 1000 * (cpu_seconds(pid) - before) / REPEATS


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def call(path: str, **parameters: str) -> dict[str, Any]:
    data = urllib.parse.urlencode(parameters).encode() if parameters else None
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/{path}", data) as answer:
        found: dict[str, Any] = json.load(answer)["data"]
        return found


if __name__ == "__main__":
    main()
