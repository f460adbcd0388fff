"""What the Trainer is fed: blocks, and beside each the teacher's logits where there is a cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..teacher import logit_cache

TEACHER = "teacher"


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Blocks by number; `cache` has a row for each."""

    def __init__(self, blocks: Any, cache: Any | None = None) -> None:
        self._blocks = blocks
        self._cache = cache

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = dict(self._blocks[index])
        if self._cache is not None:
            row[TEACHER] = self._cache[index]
        return row


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch: `input_ids` and `labels` [batch, tokens], and the teacher's distribution where there is one."""
    batch: dict[str, Any] = {
        name: torch.stack([torch.as_tensor(row[name]) for row in rows]).long() for name in ("input_ids", "labels")
    }
    if TEACHER in rows[0]:
        columns = {name: np.stack([row[TEACHER][name] for row in rows]) for name in rows[0][TEACHER]}
        # A plain dict: the Trainer moves tensors to the device only in containers it knows.
        batch[TEACHER] = logit_cache.collate(columns)._asdict()
    return batch
