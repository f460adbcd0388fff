"""The token file: who may write, one NAME:TOKEN a line. A token itself is never kept, shown or logged."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError

log = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})\s*:\s*(?P<token>[!-~]+)")
# Below this a token can be guessed; a hex text of 32 characters has 128 bits.
_SHORTEST, _LONGEST = 16, 512


@dataclass(frozen=True)
class Tokens:
    """The digests of all tokens with their names; one name may have several, so that a token can be changed."""

    digests: tuple[tuple[str, bytes], ...]

    def name_of(self, token: str) -> str | None:
        """Whose token this is, None when it is nobody's; takes the same time whichever it is."""
        presented = _digest(token)
        found = [name for name, digest in self.digests if hmac.compare_digest(digest, presented)]
        return found[0] if found else None


def load_tokens(path: Path) -> Tokens:
    """Read a token file; raises SettingsError that names the line, never its content."""
    try:
        text = path.read_text()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"token file {path} cannot be read: {error}") from error
    tokens = Tokens(tuple(_lines(path, text)))
    if not tokens.digests:
        raise SettingsError(f"token file {path} has no token: write NAME:TOKEN, e.g. trainer:$(openssl rand -hex 32)")
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        log.warning("token file %s is open to others (mode %o): chmod 600 %s", path, mode & 0o777, path)
    return tokens


def _lines(path: Path, text: str) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SettingsError(
                f"token file {path}, line {number}: not NAME:TOKEN (a name of letters, digits, . _ -; "
                "a token of visible ASCII characters without spaces)"
            )
        if not _SHORTEST <= len(found["token"]) <= _LONGEST:
            raise SettingsError(
                f"token file {path}, line {number}: the token of {found['name']} must have {_SHORTEST} to {_LONGEST} "
                "characters, e.g. from 'openssl rand -hex 32'"
            )
        yield found["name"], _digest(found["token"])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
