"""Two ways from logits to bytes on disk, timed in two steps: choosing the k classes, and writing them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import torch
from torch import Tensor

from joulemark_workloads.teacher.artifact import open_artifact
from joulemark_workloads.teacher.logit_cache import KIND, Top, fill, table_of, top_of

VOCABULARY, TOP_K, TEMPERATURE = 49_152, 100, 1.0
# One batch of logits is made and used over and over, as more would take much memory.
_BLOCK, _BATCH_BLOCKS, _BATCHES, _SHARD_BLOCKS = 512, 4, 32, 8
_ROUNDS = 5

Work = Callable[[Path], object]


def measured(dtype: torch.dtype) -> list[tuple[str, float, float]]:
    """Step, microseconds per token through lists, and here."""
    datasets.disable_progress_bars()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seed = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(_BATCH_BLOCKS, _BLOCK, VOCABULARY, generator=seed)).to(device, dtype)
    values, ids = (part.repeat(_BATCHES, 1, 1) for part in lists_choose(logits))
    kept = Top(*(np.concatenate([part] * _BATCHES) for part in arrow_choose(logits)))
    zeros = torch.zeros(_BATCHES * _BATCH_BLOCKS, _BLOCK, dtype=torch.int32)
    blocks = datasets.Dataset.from_dict({"input_ids": zeros.numpy()}).with_format("torch")
    steps: list[tuple[str, Work, Work, int]] = [
        ("logits to the k classes", lambda _: lists_choose(logits), lambda _: arrow_choose(logits), 1),
        ("the k classes to bytes on disk", partial(lists_write, values, ids), partial(arrow_write, kept), _BATCHES),
        ("the whole path", partial(lists_whole, logits), partial(arrow_whole, logits, blocks), _BATCHES),
    ]
    return [(name, *_microseconds_of_both(theirs, ours, batches)) for name, theirs, ours, batches in steps]


def lists_whole(logits: Tensor, folder: Path) -> None:
    """All batches chosen, then written."""
    chosen = [lists_choose(logits) for _ in range(_BATCHES)]
    lists_write(torch.cat([values for values, _ in chosen]), torch.cat([ids for _, ids in chosen]), folder)


def arrow_whole(logits: Tensor, blocks: datasets.Dataset, folder: Path) -> None:
    """The teacher phase itself with a model that has its logits ready; a shard is written while the next is chosen."""
    key = {"top_k": TOP_K, "temperature": TEMPERATURE, "dtype": "float16", "blocks_per_shard": _SHARD_BLOCKS}
    shards = _BATCHES * _BATCH_BLOCKS // _SHARD_BLOCKS
    cache = open_artifact(folder, KIND, key, shards)
    list(fill(cache, cache.missing, _Ready(logits), blocks, _BATCH_BLOCKS, "benchmark"))


class _Ready(NamedTuple):
    """A model without a forward."""

    logits: Tensor

    @property
    def device(self) -> torch.device:
        return self.logits.device

    def __call__(self, **_: object) -> _Ready:
        return self


def lists_choose(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Values and ids [blocks, tokens, k]."""
    values, ids = torch.topk(torch.log_softmax(logits / TEMPERATURE, dim=-1), TOP_K, dim=-1)
    return values.cpu(), ids.to(torch.int32).cpu()


def lists_write(values: Tensor, ids: Tensor, folder: Path) -> None:
    """Each block as lists, with its tokens, mask and labels; all of them as a data set, that again as a whole."""
    block = [0] * _BLOCK
    rows = {
        "id": list(range(len(values))),
        **{name: [list(block) for _ in values] for name in ("input_ids", "attention_mask", "labels")},
        "values": [block.tolist() for block in values],
        "indices": [block.tolist() for block in ids],
    }
    datasets.Dataset.from_dict(rows).save_to_disk(str(folder / "chunk"))
    datasets.concatenate_datasets([datasets.load_from_disk(str(folder / "chunk"))]).save_to_disk(str(folder / "whole"))


def arrow_choose(logits: Tensor) -> Top:
    """As the teacher phase does it."""
    return top_of(logits.flatten(0, 1), TOP_K, TEMPERATURE, "float16")


def arrow_write(kept: Top, folder: Path) -> None:
    """As the teacher phase does it: written, synced, read back."""
    tokens = len(kept.tail)
    open_artifact(folder, KIND, {}, 1).append(0, table_of(kept, tokens // _BLOCK), tokens, "benchmark")


def _microseconds_of_both(theirs: Work, ours: Work, batches: int) -> tuple[float, float]:
    """Per token: the best of some rounds, in which both take turns."""
    rounds = [(_seconds(theirs), _seconds(ours)) for _ in range(_ROUNDS)]
    tokens = batches * _BATCH_BLOCKS * _BLOCK
    return min(x for x, _ in rounds) / tokens * 1e6, min(x for _, x in rounds) / tokens * 1e6


def _seconds(work: Work) -> float:
    folder = Path(tempfile.mkdtemp(prefix="logit-cache-"))
    # What the other way has left to the disk, and its threads that still look for work, are not to cost this one.
    os.sync()
    time.sleep(0.2)
    began = time.perf_counter()
    work(folder)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds
