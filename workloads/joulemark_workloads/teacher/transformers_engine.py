"""Generation with transformers: batches of prompts of like length, padded on the left."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ..config.sections import Generation
from .engine import Ids, Progress


class TransformersEngine:
    """A model that samples whole batches; a batch goes on until its last sequence has come to its end."""

    def __init__(self, model: Any, tokenizer: Any, wanted: Generation) -> None:
        self._model = model
        self._batch = wanted.batch_prompts
        self._ends = _end_tokens(model, tokenizer)
        self._sampling = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=wanted.max_new_tokens,
            do_sample=wanted.temperature > 0,
            temperature=wanted.temperature or None,
            top_p=wanted.top_p if wanted.temperature > 0 else None,
            top_k=0 if wanted.temperature > 0 else None,
            pad_token_id=self._ends[0],
            eos_token_id=self._ends,
        )

    def generate(self, prompts: list[Ids], seed: int, progress: Progress) -> list[Ids]:
        """In the order given, so that who sorts by length pays for little padding."""
        torch.manual_seed(seed)
        responses: list[Ids] = []
        for start in range(0, len(prompts), self._batch):
            responses += self._generate(prompts[start : start + self._batch], progress)
        return responses

    def _generate(self, prompts: list[Ids], progress: Progress) -> list[Ids]:
        width = max(len(prompt) for prompt in prompts)
        ids = torch.full((len(prompts), width), self._ends[0])
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.from_numpy(prompt.astype(np.int64))
            mask[row, width - len(prompt) :] = 1
        device = self._model.device
        watch = _Watch(self._ends, self._batch, progress)
        with torch.inference_mode():
            out = self._model.generate(
                ids.to(device),
                attention_mask=mask.to(device),
                generation_config=self._sampling,
                stopping_criteria=StoppingCriteriaList([watch]),
            )
        return [_up_to_end(row, self._ends) for row in out[:, width:].cpu().numpy().astype(np.int32)]


class _Watch(StoppingCriteria):
    """Stops nothing: sees, step by step, how many sequences of a batch still grow."""

    def __init__(self, ends: list[int], full: int, progress: Progress) -> None:
        self._ends = torch.tensor(ends)
        self._full = full
        self._progress = progress
        self._growing: torch.Tensor | None = None

    def __call__(self, input_ids: Any, *_: Any, **__: Any) -> Any:
        newest = input_ids[:, -1]
        growing = torch.ones_like(newest, dtype=torch.bool) if self._growing is None else self._growing
        self._progress(int(growing.sum()), self._full)
        self._growing = growing & ~torch.isin(newest, self._ends.to(newest.device))
        return torch.zeros_like(growing)


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The model's own end tokens, the tokenizer's first: it is also what pads."""
    own = model.generation_config.eos_token_id
    others = own if isinstance(own, list) else [own]
    return [tokenizer.eos_token_id, *(end for end in others if end not in (None, tokenizer.eos_token_id))]


def _up_to_end(row: Ids, ends: list[int]) -> Ids:
    found = np.flatnonzero(np.isin(row, ends))
    return row[: found[0] + 1] if len(found) else row
