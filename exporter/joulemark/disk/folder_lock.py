"""One writer: whoever writes a ledger holds the lock of its folder."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import TextIO

from ..errors import LedgerError

# What a disk says that cannot be written now and may be later.
UNWRITABLE = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EFBIG)


def lock(folder: Path) -> TextIO | None:
    """Hold the folder for this process alone until the file is closed.

    None on a disk that cannot be written, where nobody else writes; raises LedgerError when somebody else holds it.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = path.open("a")
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise LedgerError(f"{folder} cannot be used ({error}): name another folder by --state-dir") from error
        if not path.exists():
            return None
        held = path.open()
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise LedgerError(
            f"{folder} is in use by another exporter: stop it, or give this one its own --state-dir"
        ) from error
    return held
