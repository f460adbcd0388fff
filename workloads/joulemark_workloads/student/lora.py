"""Low-rank adaptation through peft, which is imported only when an experiment asks for it."""

from __future__ import annotations

from typing import Any

from ..config.sections import Lora
from ..errors import WorkloadError


def with_lora(model: Any, lora: Lora) -> Any:
    """The model with trainable low-rank additions and everything else frozen."""
    try:
        import peft
    except ImportError as error:
        raise WorkloadError("training.lora needs peft: pip install 'joulemark[lora]'") from error
    wanted = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
    )
    try:
        return peft.get_peft_model(model, wanted)
    except ValueError as error:
        raise WorkloadError(f"training.lora.targets {list(lora.targets)} are not in this model: {error}") from error


def merged(model: Any) -> Any:
    """The model with its additions folded into its weights; a model without any as it is."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
