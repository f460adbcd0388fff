"""Files that judge several models hold one that is meant."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .imported_run import ImportFailed

_MOST_SHOWN = 8


def the_model(models: Iterable[str], wanted: str, path: Path) -> str:
    """The wanted model, or the only one where none is named; raises ImportFailed naming those that are there."""
    known = sorted(models)
    if wanted in known:
        return wanted
    if not wanted and len(known) == 1:
        return known[0]
    shown = ", ".join(known[:_MOST_SHOWN]) + (" …" if len(known) > _MOST_SHOWN else "")
    what = f"has no model {wanted!r}" if wanted else f"has {len(known)} models"
    raise ImportFailed(f"{path} {what}: name one of {shown}")
