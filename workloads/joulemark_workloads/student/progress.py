"""The training as a bar: steps, and the losses as they are logged."""

from __future__ import annotations

from typing import Any

from rich import progress
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..terminal import console


class Progress(TrainerCallback):
    """A bar on the terminal of the first process."""

    def __init__(self) -> None:
        columns = (*progress.Progress.get_default_columns(), progress.TextColumn("{task.fields[losses]}"))
        self._bar = progress.Progress(*columns, console=console)
        self._task = self._bar.add_task("training", losses="")
        self._losses: dict[str, float] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        del args, control
        self._bar.start()
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        del args, control
        self._bar.update(self._task, completed=state.global_step)

    def on_log(self, *_: Any, **said: Any) -> None:
        logs = said.get("logs") or {}
        names = {"loss": "loss", "eval_loss": "held out"}
        self._losses.update({shown: logs[name] for name, shown in names.items() if name in logs})
        text = ", ".join(f"{name} {value:.3f}" for name, value in self._losses.items())
        self._bar.update(self._task, losses=text)

    def close(self) -> None:
        """Leave the bar as it stands, also after a training that broke off."""
        self._bar.stop()
