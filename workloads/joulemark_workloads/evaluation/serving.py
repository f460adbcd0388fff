"""What a generated token costs: a full batch that generates to the end, with the start and nothing else left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache

from ..config.sections import Serving


class Served:
    """A batch of equal prompts in a model, which goes on token by token."""

    def __init__(self, model: Any, prompts: torch.Tensor, seed: int) -> None:
        self._model = model
        self._cache = DynamicCache()
        self._next = prompts.to(model.device)
        self._random = torch.Generator(model.device).manual_seed(seed)

    def generate(self, tokens: int, count: Callable[[int], None]) -> None:
        """Sample so many tokens more of every sequence, and count them as they come."""
        with torch.inference_mode():
            for _ in range(tokens):
                logits = self._model(input_ids=self._next, cache=self._cache, use_cache=True).logits
                chances = torch.softmax(logits[:, -1].float(), dim=-1)
                self._next = torch.multinomial(chances, 1, generator=self._random)
                count(len(self._next))
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)


def start_serving(model: Any, blocks: Any, wanted: Serving, seed: int) -> Served:
    """Take the openings of held-out blocks as prompts, and read them in; they repeat where there are too few."""
    openings = blocks[: min(len(blocks), wanted.sequences)]["input_ids"][:, : wanted.prompt_tokens].long()
    rows = torch.arange(wanted.sequences) % len(openings)
    served = Served(model, openings[rows], seed)
    served.generate(1 + wanted.warmup_tokens, lambda _: None)
    return served
