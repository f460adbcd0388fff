"""Counts the tokens that a Trainer's model is given, from the shapes of its inputs: no value is read, nothing waits.

Where the Trainer itself counts (`include_num_input_tokens_seen`), its count is taken for what was trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Add = Callable[[str, int], None]

TRAINER = "trainer"
BATCHES = "batches"
NOBODY = "nobody"


class TrainerTokens:
    """From the begin of a training to its end; `source` says who counts the trained tokens.

    `trainer`: its own count, over all ranks of all machines, so the first of these adds it. `batches`: every rank's
    forward passes with gradients, padding included. `nobody`: a compiled model takes no hook, and the Trainer was not
    asked to count.
    """

    def __init__(self, args: Any, state: Any, model: Any, add: Add) -> None:
        self._add = add
        self._first = bool(state.is_world_process_zero)
        self._seen = int(state.num_input_tokens_seen)
        compiled = bool(getattr(args, "torch_compile", False)) or hasattr(model, "_orig_mod")
        counting = str(getattr(args, "include_num_input_tokens_seen", "no")) not in ("no", "False")
        self.source = TRAINER if counting else NOBODY if compiled or model is None else BATCHES
        self._hook = None
        if model is not None and not compiled:
            self._hook = model.register_forward_pre_hook(self._on_forward, with_kwargs=True)

    def on_step(self, state: Any) -> None:
        """Take over what the Trainer has counted since."""
        if self.source == TRAINER:
            new, self._seen = int(state.num_input_tokens_seen) - self._seen, int(state.num_input_tokens_seen)
            if self._first and new > 0:
                self._add("trained", new)

    def stop(self) -> None:
        """Take the hook off the model."""
        if self._hook is not None:
            self._hook.remove()

    def _on_forward(self, module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        training = bool(module.training) and torch.is_grad_enabled()
        if training and self.source != BATCHES:
            return
        tokens = _tokens(getattr(module, "main_input_name", "input_ids"), args, options)
        # A pass without gradients is evaluation; or generation inside a training step, which `add` leaves out.
        self._add("trained" if training else "evaluated", tokens)


def _tokens(main_input: str, args: tuple[Any, ...], options: dict[str, Any]) -> int:
    """Positions in the batch: rows times length."""
    for candidate in (options.get(main_input), options.get("input_ids"), *args[:1]):
        if isinstance(candidate, torch.Tensor) and candidate.dim() >= 1:
            return int(candidate.numel())
    embedded = options.get("inputs_embeds")
    return int(embedded.shape[0] * embedded.shape[1]) if isinstance(embedded, torch.Tensor) else 0
