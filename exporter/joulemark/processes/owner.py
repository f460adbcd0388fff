"""From a process's control group to whom it belongs: a container, a Slurm job or a unit of systemd."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

# Docker, containerd, CRI-O and Podman alike have their id in the path, alone or in the name of a scope.
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_SLURM = re.compile(r"/[^/]*slurm[^/]*/(?:[^/]+/)*?job_(\d+)(?:/|$)")
_UNIT = re.compile(r"/([^/]{1,128}\.(?:service|scope))(?=/|$)")


class Owner(NamedTuple):
    """`kind` is container, slurm, systemd, none, or unseen where the process cannot be looked at from here."""

    kind: str
    name: str = ""


NOBODY, UNSEEN = Owner("none"), Owner("unseen")


def owner_of(pid: int, proc: Path = Path("/proc")) -> Owner:
    """Whose process it is; `proc` must show the machine's processes, not those of a container alone."""
    try:
        return owner_in((proc / str(pid) / "cgroup").read_text(errors="replace"))
    except OSError:
        return UNSEEN


def owner_in(text: str) -> Owner:
    """From the text of /proc/PID/cgroup, of either version: one path a line, after two colons.

    A job of Slurm comes before a container that it started, as the job is what was asked for.
    """
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    for kind, pattern in (("slurm", _SLURM), ("container", _CONTAINER), ("systemd", _UNIT)):
        for path in paths:
            found = pattern.findall(path)
            if found:
                # The innermost: units lie in one another.
                return Owner(kind, found[-1])
    return NOBODY
