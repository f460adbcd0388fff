"""A loss that is no number ends the training at once, with what to do about it."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..errors import WorkloadError


class FiniteLoss(TrainerCallback):
    """Looks at each logged loss; raises WorkloadError on the first that is not finite."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **said: Any) -> None:
        del control
        for name in ("loss", "eval_loss"):
            value = (said.get("logs") or {}).get(name)
            if value is not None and not math.isfinite(value):
                raise WorkloadError(
                    f"{name} is {value} at step {state.global_step}: lower training.learning_rate (now "
                    f"{args.learning_rate:g}) or lengthen training.warmup_steps; the last checkpoint is kept"
                )
