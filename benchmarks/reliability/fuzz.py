"""How many malformed, odd and valid requests the API takes without a server error or an answer off its own schema.

    python -m benchmarks.reliability.fuzz [--requests 20000] [--seed 1]

Half of the requests are made by schemathesis from /openapi.json, valid and invalid ones for each call, and each answer
is held against the schema. The other half are broken below the schema: no JSON, half a JSON, bytes, odd numbers,
paths, methods and headers. Ends with 1 when anything was found.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response

from . import raw_requests
from .record import keep, show, table

READY = "listening=http://127.0.0.1:"
KEY = "Idempotency-Key"


class Findings:
    """Every answer by status, what was wrong with some, and the idempotency keys that were taken."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.answers: Counter[int] = Counter()
        self.wrong: Counter[str] = Counter()

    def note(self, status: int) -> None:
        """An answer came."""
        self.answers[status] += 1
        if status >= 500:
            self.wrong[f"server error {status}"] += 1

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.answers.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--record", action="store_true", help="keep the figures in results/reliability.md")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        exporter, port = start(Path(folder))
        try:
            by_schema, raw = Findings(), Findings()
            fuzz_by_schema(f"http://127.0.0.1:{port}", by_schema, math.ceil(options.requests / 2), options.seed)
            fuzz_raw(port, raw, options.requests - by_schema.requests, options.seed)
            conserved = conservation_holds(port)
        finally:
            exporter.terminate()
            exporter.communicate(timeout=30)
    return report(by_schema, raw, conserved, time.monotonic() - began, record=options.record)


def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """An exporter on the replay source and its port."""
    trace = folder / "trace.yml"
    trace.write_text("gpu0: [[1, 100], [1, 300]]\ngpu1: [[2, 250]]\n")
    command = [sys.executable, "-c", "from joulemark.cli import main; main()", "serve", "--source", "replay"]
    command += [
        "--replay.trace",
        str(trace),
        "--state-dir",
        str(folder / "state"),
        "--web.listen-address",
        "127.0.0.1:0",
    ]
    exporter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert exporter.stderr
    for line in exporter.stderr:
        if READY in line:
            return exporter, int(line.rpartition(":")[2])
    raise SystemExit("the exporter did not come up")


def fuzz_by_schema(url: str, findings: Findings, wanted: int, number: int) -> None:
    """Requests that fit the schema, and such that just do not, for every call."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    session = requests.Session()
    session.trust_env = False
    round_number = 0
    while findings.requests < wanted:
        left = wanted - findings.requests
        each = max(1, min(300, math.ceil(left / (2 * len(operations)))))
        for operation in operations:
            for mode in map(GenerationMode, ("positive", "negative")):
                fuzz_call(operation, mode, session, findings, each, number + round_number)
        round_number += 1


def fuzz_call(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode, session: requests.Session, findings: Findings, examples: int, number: int,
) -> None:  # fmt: skip
    """So many requests of one call."""

    @seed(number)
    @settings(
        max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode))
    def ask(case: Case[Any]) -> None:
        response = case.call(session=session)
        findings.note(response.status_code)
        known = _refused_for_what_is_known_here_alone(case, response, findings.keys)
        skipped: Any = [CHECKS.get_one("positive_data_acceptance")] if known else []
        try:
            case.validate_response(response, excluded_checks=skipped)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                findings.wrong[f"{operation.label}: {failure!s:.600}"] += 1

    # A call without parameters has no invalid form.
    with contextlib.suppress(Unsatisfiable):
        ask()


def fuzz_raw(port: int, findings: Findings, wanted: int, number: int) -> None:
    """Requests that no well-meant client makes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    @seed(number)
    @settings(
        max_examples=wanted, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(asked=raw_requests.REQUESTS)
    def ask(asked: raw_requests.RawRequest) -> None:
        status, kind, body = asked.send(connection)
        findings.note(status)
        if status >= 400 and not (kind == "application/problem+json" and b'"remedy"' in body):
            findings.wrong[f"{asked}: {status} is no problem with a remedy"] += 1

    while findings.requests < wanted:
        number += 1
        seed(number)(ask)()
    connection.close()


def conservation_holds(port: int) -> bool:
    """Whether every device's stages still add up to it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    stages: Counter[str] = Counter()
    devices: dict[str, float] = {}
    for line in connection.getresponse().read().decode().splitlines():
        name, _, value = line.rpartition(" ")
        device = name.partition('device="')[2].partition('"')[0]
        if name.startswith("joulemark_energy_joules_total{"):
            stages[device] += float(value)  # type: ignore[assignment]
        elif name.startswith("joulemark_device_energy_joules_total{"):
            devices[device] = float(value)
    connection.close()
    return bool(devices) and all(math.isclose(stages[name], total, rel_tol=1e-9) for name, total in devices.items())


def report(by_schema: Findings, raw: Findings, conserved: bool, seconds: float, *, record: bool) -> int:
    """Show the figures, and keep them when asked to; 1 when there is something wrong."""
    rows = []
    for name, findings in (("from the schema", by_schema), ("below the schema", raw)):
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(findings.answers.items()))
        rows.append((name, f"{findings.requests} requests; answers {answers}"))
    wrong = by_schema.wrong + raw.wrong
    errors = sum(count for status, count in (by_schema.answers + raw.answers).items() if status >= 500)
    rows += [
        ("in all", f"{by_schema.requests + raw.requests} requests in {seconds:.0f} s, {errors} server errors"),
        ("off the schema", str(sum(wrong.values()))),
        ("conservation", "holds" if conserved else "BROKEN"),
    ]
    show(rows)
    if record:
        keep("Requests", table(rows))
    for what, count in wrong.most_common(10):
        print(f"\n{count} x {what}")
    return 1 if wrong or not conserved else 0


def _refused_for_what_is_known_here_alone(case: Case[Any], response: Response, taken: set[str]) -> bool:
    """Whether it fits the schema and no schema can say why it is refused: no such device, or a key that was taken.

    The first request of a key takes it; the same key with another body is refused, as its text in /docs says.
    """
    key = str(dict(case.headers or {}).get(KEY, ""))
    if response.status_code == 200:
        taken.add(key)
    if response.status_code != 422:
        return False
    field = response.json().get("field")
    no_such_device = field == "devices" and isinstance(case.body, dict) and bool(case.body.get("devices"))
    return no_such_device or (field == KEY and key in taken)


if __name__ == "__main__":
    sys.exit(main())
