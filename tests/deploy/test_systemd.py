"""The unit is what systemd takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "joulemark.service"
PROGRAM = "/opt/joulemark/bin/joulemark"


def verified(text: str, folder: Path) -> str:
    """What systemd has to say against a unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    unit = folder / "joulemark.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    return "\n".join(line for line in done.stderr.splitlines() if "joulemark.service" in line)


def test_the_unit_is_valid(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert f"ExecStart={PROGRAM} serve" in text
    # Verifying asks that the program is there; any will do.
    assert verified(text.replace(PROGRAM, "/bin/true"), tmp_path) == ""


def test_a_wrong_key_would_be_seen(tmp_path: Path) -> None:
    said = verified(UNIT.read_text().replace(PROGRAM, "/bin/true").replace("Restart=always", "Restrt=always"), tmp_path)
    assert "Restrt" in said
