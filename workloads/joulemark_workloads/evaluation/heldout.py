"""The loss on text that was never trained on."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from ..student.losses import cross_entropy


class Heldout(NamedTuple):
    """Mean loss in nats per token, its standard error over blocks, tokens seen and blocks."""

    loss: float
    stderr: float
    tokens: int
    blocks: int

    @property
    def score(self) -> float:
        """exp(-loss): the geometric mean of the true tokens' probabilities, 0 to 1."""
        return math.exp(-self.loss)

    @property
    def score_stderr(self) -> float:
        """Of the score, to first order."""
        return self.score * self.stderr


def heldout_loss(model: Any, blocks: Any) -> Heldout:
    """Run a model over every held-out block, one at a time."""
    losses, tokens = [], 0
    with torch.inference_mode():
        for row in blocks:
            ids, labels = (row[name][None].long().to(model.device) for name in ("input_ids", "labels"))
            losses.append(float(cross_entropy(model(input_ids=ids, use_cache=False).logits, labels)))
            tokens += ids.numel()
    # A block without any label says nothing.
    values = torch.tensor([loss for loss in losses if math.isfinite(loss)], dtype=torch.float64)
    spread = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Heldout(float(values.mean()), spread, tokens, len(values))
