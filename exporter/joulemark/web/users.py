"""Basic authentication against bcrypt hashes, one comparison at a time, successes remembered."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping

from ..api.problems import Refused

# bcrypt reads no further, as its other implementations do silently.
_LONGEST_PASSWORD = 72
_REMEMBERED = 128
_WAITING = 16


class Users:
    """Compares passwords; slow by design, so the event loop never does it and guessers queue."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        # Keyed, so that what is kept in memory gives no password away.
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def knows(self, users: Mapping[str, str], name: str, password: str) -> bool:
        """Whether this is the user's password; raises Refused when too many wait to be compared."""
        # A stranger is compared with somebody's hash: answering him sooner would tell who is no stranger.
        hashed = users.get(name) or next(iter(users.values()))
        mark = self._mark(name, hashed, password)
        if mark in self._known:
            self._known.move_to_end(mark)
            return True
        if self._waiting >= _WAITING:
            raise Refused(503, "Too many logins", "many passwords wait to be compared", remedy="try again in a second")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                matches = await asyncio.to_thread(_matches, hashed, password)
        finally:
            self._waiting -= 1
        if not matches or name not in users:
            return False
        self._known[mark] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _mark(self, *parts: str) -> bytes:
        digest = hashlib.blake2b(key=self._key)
        for part in parts:
            data = part.encode("utf-8", "surrogateescape")
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.digest()


def _matches(hashed: str, password: str) -> bool:
    import bcrypt  # only those with basic_auth_users need it

    return bcrypt.checkpw(password.encode("utf-8", "surrogateescape")[:_LONGEST_PASSWORD], hashed.encode())
