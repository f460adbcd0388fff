"""One log line for refused requests, however many there are: who, what, why; never a credential."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.types import Scope

from ..api.problems import Refused

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0


class RefusalLog:
    """Logs a refusal, then keeps quiet for a while and says how many more there were."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._quiet_until = float("-inf")
        self._unsaid = 0

    def note(self, scope: Scope, error: Refused) -> None:
        """A request was refused."""
        if self._now() < self._quiet_until:
            self._unsaid += 1
            return
        self._quiet_until = self._now() + QUIET_SECONDS
        client = scope["client"][0] if scope["client"] else "socket"
        log.warning(
            "event=refused status=%d client=%s call=%s path=%r reason=%r more_before=%d",
            error.status, client, scope["method"], scope["path"][:120], error.detail, self._unsaid,
        )  # fmt: skip
        self._unsaid = 0
