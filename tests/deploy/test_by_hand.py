"""The lines for a shell in docs/deployment.md do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from exporter_process import Exporter

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"


def test_a_stage_is_begun_and_ended_with_curl_alone(exporter: Exporter) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    found = re.search(r"## By hand\n\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    lines = found[1].replace("localhost:9871", exporter.url[7:]).replace("python cache_logits.py", "sleep 0.3")
    assert "sleep 0.3" in lines
    done = subprocess.run(["sh", "-euc", lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [window] = exporter.http.get("/api/v1/windows", params={"run": "kd-1b"}).json()
    assert (window["stage"], window["state"]) == ("teacher", "ended")
