"""Local rank 0's ear: what the other local ranks of the job have counted."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from .local_ranks import Message

_LARGEST_MESSAGE = 64 * 1024
_Key = tuple[str, str, int]


class RankZero:
    """Listens until it is closed; a rank that leaves has said all that it had counted."""

    def __init__(self, path: str, expected: int = 0) -> None:
        self._counts: dict[_Key, dict[str, dict[str, int]]] = {}
        self._there: set[str] = set()
        self._heard: set[int] = set()
        self._expected = expected
        self._lock = threading.Lock()
        self._closed = False
        self._path = path
        self._socket = _bound(path)
        self._inode = Path(path).stat().st_ino
        self._thread = threading.Thread(target=self._listen, name="joulemark-ranks", daemon=True)
        self._thread.start()

    def counts(self, stage: str, phase: str, occurrence: int) -> dict[str, int]:
        """What all others together have counted in this stage."""
        totals: dict[str, int] = {}
        self._take_all()
        with self._lock:
            for counts in self._counts.get((stage, phase, occurrence), {}).values():
                for kind, count in counts.items():
                    totals[kind] = totals.get(kind, 0) + count
        return totals

    def others_are_there(self) -> bool:
        """Whether a rank that has spoken has not left yet."""
        self._take_all()
        with self._lock:
            return bool(self._there)

    def all_have_spoken(self) -> bool:
        """Whether as many ranks have spoken as there are: others are slow to start, or never open the run."""
        with self._lock:
            return len(self._heard) >= self._expected

    def close(self) -> None:
        """Stop listening; what comes now is refused, so that its sender knows."""
        with contextlib.suppress(OSError):
            if Path(self._path).stat().st_ino == self._inode:
                Path(self._path).unlink()
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the thread's recv
        self._socket.close()

    def let_go(self) -> None:
        """Close this process' end only, as a forked child must: the ear is its parent's."""
        self._socket.close()

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except OSError:
                return
            self._take_all()

    def _take_all(self) -> None:
        """Take what has arrived, in its order: at the end of a stage it counts, though the thread has yet to wake."""
        with self._lock:
            while not self._closed:
                try:
                    raw = self._socket.recv(_LARGEST_MESSAGE, socket.MSG_DONTWAIT)
                except OSError:
                    return
                with contextlib.suppress(ValueError):
                    self._take(Message.decoded(raw))

    def _take(self, message: Message) -> None:
        self._heard.add(message.rank)
        key = (message.stage, message.phase, message.occurrence)
        if message.stage:
            self._counts.setdefault(key, {})[message.who] = dict(message.tokens or {})
        (self._there.discard if message.leaves else self._there.add)(message.who)


def _bound(path: str) -> socket.socket:
    """Raises OSError when another process of this job listens there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                probe.connect(path)
            raise OSError(f"another process listens at {path}")
        Path(path).unlink(missing_ok=True)
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    return listener
