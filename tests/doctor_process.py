"""`joulemark doctor` as a process on a machine of the test's making, and its findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from exporter_process import free_port

# The powercap folder is no setting, so it is changed where the source has it.
PROGRAM = """
import sys
from pathlib import Path
from joulemark.sources.rapl import RaplSource
RaplSource.__init__.__kwdefaults__["powercap"] = Path(sys.argv.pop(1))
from joulemark.cli import main
main()
"""


class Doctor:
    """Runs the doctor with a powercap folder, a state folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.powercap = folder / "powercap"
        self.powercap.mkdir()
        self.state, self.port = folder / "state", free_port()

    def command(self, *argv: str) -> list[str]:
        place = ["--state-dir", str(self.state), "--web.listen-address", f"127.0.0.1:{self.port}"]
        command = [sys.executable, "-c", PROGRAM, str(self.powercap), "doctor", "--seconds", "3", "--no-load"]
        return [*command, *place, *argv]

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        nobody = f"http://127.0.0.1:{free_port()}"
        return {**os.environ, "JOULEMARK_URL": nobody, "COLUMNS": "200", **environment}

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv),
            env=self.environment(environment),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def report(self, *argv: str, **environment: str) -> Report:
        """The JSON report; the exit code must say the same as it."""
        done = self.run("--json", *argv, **environment)
        assert done.returncode in (0, 1), done.stderr
        report = Report(json.loads(done.stdout))
        assert report["fit"] == (done.returncode == 0)
        return report

    def zone(self, *, readable: bool) -> None:
        """A RAPL package, or one that cannot be read."""
        folder = self.powercap / "intel-rapl:0"
        folder.mkdir()
        (folder / "name").write_text("package-0\n")
        if readable:
            (folder / "energy_uj").write_text("5000000\n")
        else:
            # As for root nothing is forbidden, something that cannot be read at all.
            (folder / "energy_uj").mkdir()


class Report(dict[str, Any]):
    """A report, and what is looked for in it."""

    def found(self, kind: str, subject: str | None = None) -> dict[str, Any]:
        """The only finding of a kind."""
        kinds = [x for x in self["findings"] if x["id"] == kind and subject in (None, x["subject"])]
        assert len(kinds) == 1, [(x["id"], x["subject"], x["found"]) for x in self["findings"]]
        finding: dict[str, Any] = kinds[0]
        return finding

    def kinds(self, subject: str | None = None) -> set[str]:
        """The kinds of all findings, or of those about one subject."""
        return {finding["id"] for finding in self["findings"] if subject in (None, finding["subject"])}
