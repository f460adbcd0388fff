"""Which runs are repeats of each other: those that differ only in their seed are one cell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

_FACTS = ("pipeline", "student", "teacher", "dataset")
_LONGEST = 128


def cell_of(declared: Mapping[str, object]) -> str | None:
    """The cell of a run in words: its facts and labels; None for a run that declares no pipeline or no student.

    Baseline, reference and idle power are left out: repeats have their own.
    """
    if not (declared.get("pipeline") and declared.get("student")):
        return None
    labels = declared.get("labels")
    pairs = [f"{name}={text}" for name, text in sorted(labels.items())] if isinstance(labels, dict) else []
    facts = [str(declared.get(name) or "-") for name in _FACTS]
    text = " | ".join([*facts, *pairs])
    if len(text) <= _LONGEST:
        return text
    # Label values on /metrics are bounded; what is cut off must still tell cells apart.
    digest = hashlib.sha256(json.dumps([*facts, *pairs]).encode()).hexdigest()[:12]
    return f"{text[: _LONGEST - 13]} {digest}"
