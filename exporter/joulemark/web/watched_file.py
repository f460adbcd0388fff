"""A file that is read anew when it changes; what cannot be used leaves the last good content in force."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import SettingsError

log = logging.getLogger(__name__)

Content = TypeVar("Content")
Stamp = tuple[tuple[int, int, int] | None, ...]


class WatchedFile(Generic[Content]):
    """The content of a file and of the `others` that it names; raises SettingsError when the first read fails.

    `replaces(old, new)` raises SettingsError where a change may not be made without a restart.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Content],
        *,
        others: Callable[[Content], Iterable[Path]] = lambda _: (),
        replaces: Callable[[Content, Content], None] = lambda _, __: None,
    ) -> None:
        self._path = path
        self._load = load
        self._others = others
        self._replaces = replaces
        self.content = load(path)
        self._seen = self._stamp(self.content)

    def refresh(self) -> None:
        """Read it anew if it changed since the last look; to be called about once a second."""
        stamp = self._stamp(self.content)
        if stamp == self._seen:
            return
        # Before reading: a change that comes while it is read is then seen at the next look.
        self._seen = stamp
        try:
            content = self._load(self._path)
            self._replaces(self.content, content)
        except SettingsError as error:
            log.error(
                "event=reload_failed file=%s error=%r, the last good content stays in force", self._path, str(error)
            )
            return
        self.content = content
        self._seen = self._stamp(content)
        log.info("event=reloaded file=%s", self._path)

    def forget(self) -> None:
        """Read it at the next look even if it seems unchanged."""
        self._seen = ()

    def _stamp(self, content: Content) -> Stamp:
        return tuple(_stamp_of(path) for path in (self._path, *self._others(content)))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
