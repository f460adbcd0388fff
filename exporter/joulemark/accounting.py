"""Formulas (being written)."""

from __future__ import annotations

from collections.abc import Mapping


def joules_per_token(joules: float, tokens: Mapping[str, int]) -> float | None:
    """Joules per token of a stage; tokens of kinds other than prompt when it has any, else prompt."""
    count = sum(n for kind, n in tokens.items() if kind != "prompt") or tokens.get("prompt", 0)
    return joules / count if count else None
