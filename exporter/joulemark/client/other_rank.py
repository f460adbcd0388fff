"""The voice of a local rank other than 0: it tells local rank 0 what it counted, and the exporter nothing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping

from ..errors import ClientError
from . import timing
from .answer import Answer
from .local_ranks import Message
from .misses import Misses
from .notice import say
from .voice import Entered


class OtherRank(threading.Thread):
    """Sends in the background, without ever blocking; what could not be delivered is reported at the end."""

    patience = 0.0

    def __init__(self, run: str, rank: int, path: str, *, strict: bool) -> None:
        super().__init__(name="joulemark-rank", daemon=True)
        self.misses = Misses()
        self.strict = strict
        self._run, self._rank, self._path = run, rank, path
        self._who = f"{os.getpid()}-{os.urandom(4).hex()}"
        # By stage what of it was delivered; those that have ended and are delivered are forgotten.
        self._delivered: dict[Entered, dict[str, int]] = {}
        self._ended: set[Entered] = set()
        self._greeted = False
        self._wake = threading.Event()
        self._closed = self._reported = False
        self._sending = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def begin(self, entered: Entered) -> Answer:
        """Count for this stage from now on."""
        with self._sending:
            self._delivered[entered] = {}
        return Answer.of_nothing()

    def end(self, entered: Entered, *, failed: bool = False) -> Answer:
        """Send its last counts; that it failed is for local rank 0 to say."""
        del failed
        with self._sending:
            self._ended.add(entered)
        self._wake.set()
        return Answer.of_nothing()

    def abandon(self, entered: Entered) -> None:
        """Nothing: a stage always begins here."""

    def record(self, method: str, path: str, body: Mapping[str, object]) -> Answer:
        """Nothing: local rank 0 says the same."""
        del method, path, body
        return Answer.of_nothing()

    def ask(self, path: str) -> Answer:
        """Nothing: local rank 0 asks."""
        del path
        return Answer.of_nothing()

    def run(self) -> None:
        """Send what is new, again and again."""
        while not self._send_all():
            self._wake.wait(timing.RETRY_SECONDS / 10 if self._closed else timing.RETRY_SECONDS)
            self._wake.clear()

    def lose_patience(self) -> None:
        """Nothing: nobody waits here."""

    def close(self) -> None:
        """Have the rest sent, and the leave taken; raises ClientError when strict and that failed."""
        self._closed = True
        self._wake.set()
        self.join(timing.WAIT_SECONDS)
        if self.strict and self._untold():
            self._reported = True
            raise ClientError(self._untold())

    def finish(self, seconds: float) -> None:
        """Wait for that so long at most."""
        self.join(seconds)
        text, self._reported = "" if self._reported else self._untold(), True
        if text:
            say(f"joulemark: {text}")

    def let_go(self) -> None:
        """Close this process' end only, as a forked child must."""
        self._socket.close()

    def _untold(self) -> str:
        """What could not be delivered, in words; empty for nothing."""
        with self._sending:
            self.misses.tokens = sum(sum(x.counts().values()) - sum(y.values()) for x, y in self._delivered.items())
        if not self.misses.tokens:
            return ""
        return (
            f"run {self._run}: {self.misses.tokens:,} tokens of local rank {self._rank} were not counted, "
            "as local rank 0 has not opened this run, or has closed it"
        )

    def _send_all(self) -> bool:
        """Whether nothing is left to send, not even the leave."""
        closed = self._closed
        with self._sending:
            self._greeted = self._greeted or self._send(Message(self._who, self._rank))
            delivered = all(self._send_counts(entered) for entered in list(self._delivered))
        return closed and self._greeted and delivered and self._send(Message(self._who, self._rank, leaves=True))

    def _send_counts(self, entered: Entered) -> bool:
        ended, counts = entered in self._ended, entered.counts()
        if counts != self._delivered[entered]:
            message = Message(self._who, self._rank, entered.stage, entered.phase, entered.occurrence, counts)
            if not self._send(message):
                return False
            self._delivered[entered] = counts
        if ended:
            self._ended.discard(entered)
            del self._delivered[entered]
        return True

    def _send(self, message: Message) -> bool:
        """Whether local rank 0 has it now: nobody listens, or it has too much to read, are the reasons against."""
        try:
            self._socket.sendto(message.encoded(), self._path)
        except OSError:
            return False
        return True
