"""Text into blocks of tokens; tokens are counted as tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.pack import Packed, keep, pack
from ..data.prompts import Ids, keep_prompts
from ..data.rows import rows_of
from ..errors import WorkloadError
from ..models.load import load_tokenizer
from ..models.locate import find_model
from ..models.tokenizer import check_same_tokens, tokenizer_identity
from ..terminal import console
from .context import Context


def run(context: Context) -> dict[str, Any]:
    """Tokenise, pack, split, and keep as Arrow."""
    wanted = context.experiment.data
    folder = context.folder / "data"
    with context.run.stage("data") as stage:
        tokenizer = load_tokenizer(context.teacher)
        _check_student(context, tokenizer)
        packed = pack(rows_of(wanted, tokenizer), tokenizer, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        keep(packed.train, folder / "train")
        keep(packed.heldout, folder / "heldout")
        if context.cell.pipeline == "synthetic_sft":
            keep_prompts(_prompts(context, packed), folder / "prompts.arrow")
        stage.add_tokens(prompt=packed.tokens)
    console.print(
        f"data: {packed.tokens:,} tokens, {len(packed.train.ids)} blocks to train on, "
        f"{len(packed.heldout.ids)} held out"
    )
    return {
        "tokens": packed.tokens,
        "train": packed.train.identity,
        "heldout": packed.heldout.identity,
        "tokenizer": tokenizer_identity(tokenizer),
        "teacher": context.teacher.identity,
    }


def _check_student(context: Context, tokenizer: Any) -> None:
    """A student of its own must speak the teacher's tokens; better said now than after the teacher's work."""
    student = context.experiment.student
    if student.model is not None:
        own = load_tokenizer(find_model(student.model, context.work_dir, student.revision))
        check_same_tokens(tokenizer, own, (context.experiment.teacher.model, student.model))


def _prompts(context: Context, packed: Packed) -> list[Ids]:
    """The questions of conversations; of plain text, the openings of the training blocks."""
    wanted = context.experiment.generation
    found: list[Ids] = packed.prompts or list(packed.train.ids[:, : wanted.prompt_tokens])
    unique = {prompt.tobytes(): np.ascontiguousarray(prompt) for prompt in found}
    if len(unique) < wanted.prompts:
        raise WorkloadError(
            f"generation.prompts is {wanted.prompts}, but the training data has {len(unique)}: lower it, or raise "
            "data.train_blocks"
        )
    return list(unique.values())[: wanted.prompts]
