"""Which data sources need no hub."""

from __future__ import annotations

PYTHON_DOCUMENTATION = "python-documentation"


def is_local(source: str) -> bool:
    """Whether a source is here without any hub."""
    return source == PYTHON_DOCUMENTATION or source.endswith((".jsonl", ".json"))
