"""A real headless Chromium, driven over its own DevTools protocol: what a user's browser makes of our pages."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from websockets.sync.client import connect

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    BINARY is None, reason="NO BROWSER, so pages are NOT tested: apt-get install chromium"
)


class Chromium:
    """One browser with one page; `complaints` are its console errors, exceptions and CSP violations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._ended = ExitStack()
        self.complaints: list[str] = []

    def __enter__(self) -> Chromium:
        assert BINARY
        command = [
            BINARY, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", "--hide-scrollbars",
            f"--user-data-dir={self._folder}", "about:blank",
        ]  # fmt: skip
        with self._ended.pop_all() as ended:
            log = ended.enter_context((self._folder.parent / "chromium.log").open("w+"))
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
            ended.callback(self._stop)
            self._socket = ended.enter_context(connect(self._endpoint(Path(log.name)), max_size=None))
            self._ended = ended.pop_all()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.close()

    def goto(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.run(condition):
                return
            time.sleep(0.05)
        raise AssertionError(f"never true in {seconds} s: {condition}\n{self.complaints}")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Look through a window of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A DevTools command for the page."""
        return self._call(method, session=self._session, **parameters)

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps({**message, "sessionId": session} if session else message))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:500])

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def _endpoint(self, log: Path) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"ws://\S+", log.read_text(errors="replace"))
            if found:
                return found[0]
            assert self._process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.1)
        raise AssertionError("Chromium did not come up in 60 s")
