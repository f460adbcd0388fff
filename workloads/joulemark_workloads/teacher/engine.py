"""Whatever generates: prompts in, responses out, telling at each step how much of it is still at work."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from ..config.sections import Generation
from ..models.load import load_teacher, load_tokenizer
from ..models.locate import ModelFolder

Ids = np.ndarray[Any, np.dtype[np.int32]]
# Called after each step with the sequences that got a token, and the number that fill the engine.
Progress = Callable[[int, int], None]


class Engine(Protocol):
    """A loaded teacher that writes."""

    def generate(self, prompts: list[Ids], seed: int, progress: Progress) -> list[Ids]:
        """One response to each prompt, with its end token where it came to one; the same for the same seed."""


def engine_name(wanted: Generation) -> str:
    """`vllm` where asked for or installed, else `transformers`."""
    if wanted.engine == "auto":
        return "vllm" if find_spec("vllm") else "transformers"
    return wanted.engine


def make_engine(folder: ModelFolder, dtype: str, wanted: Generation) -> Engine:
    """Load the teacher into the engine."""
    if engine_name(wanted) == "vllm":
        from .vllm_engine import VllmEngine

        return VllmEngine(folder, dtype, wanted)
    from .transformers_engine import TransformersEngine

    return TransformersEngine(load_teacher(folder, dtype), load_tokenizer(folder), wanted)
