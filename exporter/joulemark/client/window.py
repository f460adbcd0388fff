"""What the exporter holds for one stage, as the job's side knows it; for the thread that speaks alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ..errors import CallRefused, ExporterAway
from . import timing
from .line import Line
from .misses import Misses
from .summary import Summary, added_up, all_checked, checked

OPEN = ("active", "suspended")
ENDED_HERE = ("ended", "failed")


class Window:
    """Begun, renewed and ended at the exporter; begun anew when it was lost. One object for one entering of a stage.

    `asked` is the body of `PUT /stage` but for `devices` and `nest`; `devices` may ask the exporter for names.
    """

    def __init__(
        self,
        line: Line,
        misses: Misses,
        asked: dict[str, object],
        devices: Callable[[], list[str] | None],
        counts: Callable[[], dict[str, int]],
    ) -> None:
        self.id: str | None = None
        self.failed = False
        self.faults: list[str] = []
        self._line, self._misses = line, misses
        self._asked, self._devices, self._counts = asked, devices, counts
        # The begin under way: repeated with the same key until it is answered, so that no window is opened twice.
        self._begin: tuple[str, dict[str, object]] | None = None
        self._may_be_open = False
        self._taken = False
        self._earlier: list[Summary] = []
        # What the exporter was told, and what of it belongs to windows that were lost.
        self._told: dict[str, int] = {}
        self._told_before: dict[str, int] = {}
        self._heard_at = time.monotonic()
        self._unbooked_since: float | None = time.monotonic()
        self._left_at: float | None = None

    def leave(self) -> None:
        """The stage has ended; the window may end later."""
        self._left_at = time.monotonic()

    def begin(self, *, nest: bool) -> str:
        """Open it, or find it open when an earlier attempt was not answered."""
        if self.id is not None:
            return self.id
        if self._begin is None:
            body = {**self._asked, "devices": self._devices(), "nest": nest}
            self._begin = (os.urandom(8).hex(), body)
        key, body = self._begin
        try:
            summary = self._line.call("PUT", "/stage", body, key=key, read=checked)
        except ExporterAway as error:
            self._may_be_open = self._may_be_open or error.asked
            raise
        except CallRefused:
            self._begin = None
            raise
        self._begin, self._may_be_open = None, False
        self.id = str(summary["id"])
        self._booked_again()
        return self.id

    def renew(self, *, nest: bool, also_ended: bool = False) -> None:
        """Renew the lease and send tokens; a window that expired or was forgotten begins anew.

        One that somebody else ended stays ended, unless `also_ended`: two jobs must not fight over a run.
        """
        if self.id is None:
            if not self._taken:
                self.begin(nest=nest)
            return
        try:
            summary = self._tell("POST", f"/stage/{self.id}/heartbeat")
        except CallRefused as error:
            if error.status != 404:
                raise
            self._lose(None, "the exporter did not know its window any more")
        else:
            if summary["state"] in OPEN:
                return
            self._lose(summary, f"its window was {summary['state']} before the stage ended")
            self._taken = summary["state"] != "expired" and not also_ended
            if self._taken:
                raise CallRefused(
                    f"another call ended the window of run {self._asked['run']!r} stage {self._asked['stage']!r}; "
                    "the rest of the stage is not booked (give each job a run of its own, or share one job's stages)",
                    409,
                )
        self.begin(nest=nest)

    def end(self) -> Summary | None:
        """End it and return what the stage used in all its windows; None when it never had one."""
        if self.id is None and self._may_be_open:
            self._find()
        if self.id is not None:
            try:
                self._close(self._tell("DELETE", f"/stage/{self.id}"))
            except CallRefused as error:
                if error.status != 404:
                    raise
                self._lose(None, "the exporter did not know its window any more")
        self._booked_again()
        return added_up(self._earlier) if self._earlier else None

    def tell_late_tokens(self) -> None:
        """Send what other ranks counted and told after the stage had ended here."""
        if self.id is not None and self._counts() != self._told:
            self._tell("DELETE", f"/stage/{self.id}")

    def give_up(self) -> None:
        """The run is over before it could be ended: its lease ends it."""
        if self.id is not None or self._may_be_open:
            self._misses.overrun_seconds += max(0.0, self._heard_at + timing.LEASE_SECONDS - time.monotonic())
        self._booked_again()
        self._misses.tokens += self.untold_tokens()

    def untold_tokens(self) -> int:
        """Tokens that were counted and never reached the exporter."""
        return sum(self._counts().values()) - sum(self._told.values())

    def _find(self) -> None:
        """Learn whether a begin that was not answered opened a window; one that did not is not opened now."""
        ours = (self._asked["run"], self._asked["stage"], self._asked["phase"])
        there = self._line.call("GET", "/stage", read=all_checked)
        if any((window.get("run"), window.get("stage"), window.get("phase")) == ours for window in there):
            self.begin(nest=True)
        self._may_be_open = False

    def _tell(self, method: str, path: str) -> Summary:
        counts = self._counts()
        new = {kind: count - self._told_before.get(kind, 0) for kind, count in counts.items()}
        body: dict[str, object] = {"tokens": new}
        if method == "DELETE" and self.failed:
            body["failed"] = True
        summary: Summary = self._line.call(method, path, body, read=checked)
        self._told, self._heard_at = counts, time.monotonic()
        return summary

    def _close(self, summary: Summary) -> None:
        overrun = _seconds_after(self._left_at or time.monotonic(), summary)
        if summary["state"] not in ENDED_HERE:
            self.faults.append(f"its window was {summary['state']} before the stage ended")
            self._misses.unbooked_seconds += max(0.0, -overrun)
        if self.faults and overrun > timing.SLACK_SECONDS:
            self._misses.overrun_seconds += overrun
        self._earlier.append(summary)

    def _lose(self, summary: Summary | None, why: str) -> None:
        self.id = None
        self.faults.append(why)
        self._told_before = dict(self._told)
        self._unbooked_since = self._heard_at
        if summary is not None:
            self._earlier.append(summary)
            self._unbooked_since += _seconds_after(self._unbooked_since, summary)

    def _booked_again(self) -> None:
        """Count the time without a window that ends now, or ended with the stage."""
        if self._unbooked_since is not None:
            seconds = (self._left_at or time.monotonic()) - self._unbooked_since
            if seconds > timing.SLACK_SECONDS:
                self._misses.unbooked_seconds += seconds
        self._unbooked_since = None


def _seconds_after(instant: float, summary: Summary) -> float:
    """How long after a monotonic instant a window ended; exporter and job share the machine's clock."""
    ended_at = summary.get("ended_at")
    return float(ended_at - time.time() + time.monotonic() - instant) if isinstance(ended_at, int | float) else 0.0
