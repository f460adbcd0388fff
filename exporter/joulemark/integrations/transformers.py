"""A callback for the Hugging Face Trainer and those of TRL, which books training, evaluation and checkpoints apart.

trainer = Trainer(..., callbacks=[JoulemarkCallback("kd-1b", teacher="OLMo-2-32B")])
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import joulemark

from ..client.open_stages import innermost_run
from ..names import check_phase, check_run, check_stage
from ..visible_devices import Devices
from .trainer_scores import evaluation_of, scores_of
from .trainer_stages import Interlude, Names, TrainerStages
from .trainer_tokens import NOBODY, TrainerTokens

log = logging.getLogger(__name__)


class JoulemarkCallback(TrainerCallback):
    """Books `stage` while training; inside of it evaluation as `eval_stage`, and saving as phase `checkpoint`.

    `run` is an open run, or the name of one, opened for the training with `facts` where it is not open; left out it is
    the run that is open, else JOULEMARK_RUN. `scores` maps metrics to benchmarks (`{"eval_accuracy": "gsm8k"}`); left
    out it is every metric but losses and timings. `references` holds the teacher's scores by benchmark. Raises
    InvalidField for names that are none. `token_source` says who counted the trained tokens, once training has begun.
    """

    def __init__(
        self,
        run: joulemark.Run | str | None = None,
        *,
        stage: str = "student",
        phase: str = "",
        eval_stage: str = "eval",
        eval_phase: str = "",
        devices: Devices | None = None,
        scores: Mapping[str, str] | None = None,
        references: Mapping[str, float] | None = None,
        **facts: Any,
    ) -> None:
        if isinstance(run, str):
            check_run(run)
        self._given, self._facts, self._devices = run, facts, devices
        self._training: Names = (check_stage(stage), check_phase(phase))
        self._interludes: dict[Interlude, Names] = {
            "eval": (check_stage(eval_stage), check_phase(eval_phase)),
            "checkpoint": (stage, "checkpoint"),
        }
        self._scores, self._references = scores, references or {}
        self._stages: TrainerStages | None = None
        self._tokens: TrainerTokens | None = None
        self.token_source: str | None = None
        # Of several evaluation sets: the one evaluated last, and the last one of a round, known after the first round.
        self._evaluated, self._last_set = "", "eval"
        self._scored_at: dict[int, tuple[dict[str, float], int | None]] = {}
        self._own_run = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the stage."""
        del control
        self._close()  # A training that failed, and is tried again with a smaller batch, never ended.
        stages = self._open(args)
        stages.train(self._training)
        self._tokens = TrainerTokens(args, state, kwargs.get("model"), stages.add)
        self.token_source = self._tokens.source
        log.info("joulemark: trained tokens are counted by %s", self.token_source)
        if self.token_source == NOBODY:
            log.warning("joulemark: a compiled model's tokens need include_num_input_tokens_seen='non_padding'")
        if args.eval_on_start:
            stages.switch("eval")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Back to training, whatever was before; also after saving and at the begin of an epoch."""
        del args, state, control, kwargs
        self._last_set, self._evaluated = self._evaluated or self._last_set, ""
        if self._stages:
            self._stages.switch(None)

    on_epoch_begin = on_save = on_step_begin

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take over what the Trainer counted."""
        del args, control, kwargs
        if self._tokens:
            self._tokens.on_step(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """What comes next is evaluation or saving, when the Trainer has decided so; also at the end of an epoch."""
        self.on_substep_end(args, state, control, **kwargs)
        if self._stages and (control.should_evaluate or control.should_save):
            self._stages.switch("eval" if control.should_evaluate else "checkpoint")

    on_epoch_end = on_step_end

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An evaluation that nothing announced has had its first batch: it is booked from here on."""
        del state, control, kwargs
        (self._stages or self._open(args)).switch("eval")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the scores; the evaluation is over, unless another set follows."""
        metrics: Mapping[str, object] = kwargs.get("metrics") or {}
        if state.is_world_process_zero:
            scored = (scores_of(metrics, self._scores), _length(kwargs.get("eval_dataloader")))
            self._scored_at[state.global_step] = scored
            self._send(*scored)
        self._evaluated = evaluation_of(metrics) or "eval"
        if self._evaluated in ("eval", self._last_set):
            saves = control.should_save or getattr(args.save_strategy, "value", args.save_strategy) == "best"
            self._end_interlude("checkpoint" if saves else None)

    def on_predict(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any, **kwargs: Any
    ) -> None:
        """A prediction is over."""
        del args, state, control, metrics, kwargs
        self._end_interlude(None)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the stage; the scores of a run whose best model is loaded at the end are that model's."""
        self.on_substep_end(args, state, control, **kwargs)
        best = self._scored_at.get(getattr(state, "best_global_step", None) or -1)
        if args.load_best_model_at_end and best:
            self._send(*best)
        self._close()

    # -- inside --------------------------------------------------------------------------------------------

    def _open(self, args: TrainingArguments) -> TrainerStages:
        run = self._given if isinstance(self._given, joulemark.Run) else innermost_run()
        self._own_run = run is None or (isinstance(self._given, str) and run.name != self._given)
        if run is None or self._own_run:
            rank = args.local_process_index if args.world_size > 1 else None
            name = self._given if isinstance(self._given, str) else None
            run = joulemark.run(name, local_rank=rank, **self._facts)
        self._stages = TrainerStages(run, self._interludes, self._devices)
        return self._stages

    def _end_interlude(self, then: Interlude | None) -> None:
        """Go on training; or, where nothing is trained, be done."""
        if self._stages and self._stages.training:
            self._stages.switch(then)
        else:
            self._close()

    def _send(self, scores: Mapping[str, float], items: int | None) -> None:
        for benchmark, score in scores.items():
            if self._stages:
                self._stages.run.score(benchmark, score, reference=self._references.get(benchmark), n=items)

    def _close(self) -> None:
        if self._tokens:
            self._tokens.stop()
        if self._stages:
            self._stages.end()
            if self._own_run:
                self._stages.run.close()
        self._stages = self._tokens = None


def _length(loader: Any) -> int | None:
    """How many items were evaluated, where that is known."""
    try:
        return len(loader.dataset) or None
    except (AttributeError, TypeError):
        return None
