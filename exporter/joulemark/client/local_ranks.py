"""Local ranks of one job on one machine: where their messages meet, and what is in them.

Local rank 0 owns a Unix datagram socket in a folder that only its user can enter; the others send their cumulative
counts there. A message that is lost is made up for by the next one, and one that comes twice adds nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "LOCAL_RANK"
_RANKS_HERE = "LOCAL_WORLD_SIZE"
# What tells two jobs of one user on one machine apart, where it is set.
_JOB = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID")


@dataclass(frozen=True)
class Message:
    """`who` names a process' run; `stage` is empty when it only says that it is there, or that it leaves."""

    who: str
    rank: int
    stage: str = ""
    phase: str = ""
    occurrence: int = 0
    tokens: Mapping[str, int] | None = None
    leaves: bool = False

    def encoded(self) -> bytes:
        """As it goes over the socket."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, raw: bytes) -> Message:
        """Raises ValueError for what is none."""
        try:
            message = cls(**json.loads(raw))
            sound = all(isinstance(count, int) and count >= 0 for count in (message.tokens or {}).values())
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not sound:
            raise ValueError("counts are whole numbers, 0 or more")
        return message


def local_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """LOCAL_RANK, as torchrun, accelerate and deepspeed set it; None when this process is no rank."""
    text = environment.get(VARIABLE, "")
    return int(text) if text.isdecimal() else None


def others_here(environment: Mapping[str, str] = os.environ) -> int:
    """How many local ranks there are beside this one, by LOCAL_WORLD_SIZE; 0 where nobody says."""
    text = environment.get(_RANKS_HERE, "")
    return max(0, int(text) - 1) if text.isdecimal() else 0


def socket_path(run: str, opened: int, environment: Mapping[str, str] = os.environ) -> str:
    """Where the ranks of this job meet for the run that each of them opened as its `opened`th of that name.

    Raises OSError when the folder cannot be made or is somebody else's.
    """
    folder = Path(tempfile.gettempdir()) / f"joulemark-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone")
    job = [run, str(opened), *(environment.get(name, "") for name in _JOB)]
    return str(folder / f"{hashlib.sha256(json.dumps(job).encode()).hexdigest()[:20]}.sock")
