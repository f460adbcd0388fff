"""Two ways from logits to bytes on disk, timed in two steps: choosing the k classes, and writing them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import torch
from torch import Tensor

from joulemark_workloads.teacher.artifact import open_artifact
from joulemark_workloads.teacher.logit_cache import KIND, Top, narrowed, table_of, top_of

VOCABULARY, TOP_K = 49_152, 100
# Choosing takes memory, writing needs a shard of the usual size: each has its own number of tokens.
_BLOCK, _CHOSEN_BLOCKS, _WRITTEN_BLOCKS = 512, 4, 64
_ROUNDS = 3


def measured(dtype: torch.dtype) -> list[tuple[str, float, float]]:
    """Step, microseconds per token through lists, and here."""
    datasets.disable_progress_bars()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seed = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(_CHOSEN_BLOCKS, _BLOCK, VOCABULARY, generator=seed)).to(device, dtype)
    values, ids = (part.repeat(_WRITTEN_BLOCKS // _CHOSEN_BLOCKS, 1, 1) for part in lists_choose(logits))
    ours = arrow_choose(logits)
    kept = Top(*(part.repeat(_WRITTEN_BLOCKS // _CHOSEN_BLOCKS, *[1] * (part.dim() - 1)) for part in ours))
    choose = (_microseconds(lambda _: lists_choose(logits), _CHOSEN_BLOCKS),
              _microseconds(lambda _: arrow_choose(logits), _CHOSEN_BLOCKS))  # fmt: skip
    write = (_microseconds(lambda folder: lists_write(values, ids, folder), _WRITTEN_BLOCKS),
             _microseconds(lambda folder: arrow_write(kept, folder), _WRITTEN_BLOCKS))  # fmt: skip
    return [
        ("logits to the k classes", *choose),
        ("the k classes to bytes on disk", *write),
        ("the whole path", choose[0] + write[0], choose[1] + write[1]),
    ]


def normalised(dtype: torch.dtype) -> float:
    """Microseconds per token of log-softmax alone, into a tile that is used again: no way to the classes is faster."""
    tile = (3 * torch.randn(64, VOCABULARY)).to("cuda" if torch.cuda.is_available() else "cpu", dtype)
    scaled, out = tile.float(), torch.empty_like(tile, dtype=torch.float32)

    def work(_: Path) -> None:
        for _tile in range(_BLOCK // len(tile)):
            torch.log_softmax(scaled.copy_(tile), dim=-1, out=out)
        float(out[0, 0])

    return _microseconds(work, 1)


def lists_choose(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Values and ids [blocks, tokens, k]."""
    values, ids = torch.topk(torch.log_softmax(logits, dim=-1), TOP_K, dim=-1)
    return values.cpu(), ids.to(torch.int32).cpu()


def lists_write(values: Tensor, ids: Tensor, folder: Path) -> None:
    """Each block as lists, all of them as a data set, that again as a whole."""
    rows = {"values": [block.tolist() for block in values], "ids": [block.tolist() for block in ids]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(folder / "chunk"))
    datasets.concatenate_datasets([datasets.load_from_disk(str(folder / "chunk"))]).save_to_disk(str(folder / "whole"))


def arrow_choose(logits: Tensor) -> Top:
    """As the teacher phase does it."""
    return narrowed(top_of(logits.flatten(0, 1), TOP_K, 1.0), VOCABULARY, "float16")


def arrow_write(kept: Top, folder: Path) -> None:
    """As the teacher phase does it: written, synced, read back."""
    tokens = len(kept.tail)
    open_artifact(folder, KIND, {}, 1).append(0, table_of(kept, tokens // _BLOCK), tokens, "benchmark")


def _microseconds(work: Callable[[Path], object], blocks: int) -> float:
    """Per token: the best of some rounds, each in an empty folder."""
    best = float("inf")
    for _ in range(_ROUNDS):
        folder = Path(tempfile.mkdtemp(prefix="logit-cache-"))
        began = time.perf_counter()
        work(folder)
        best = min(best, time.perf_counter() - began)
        shutil.rmtree(folder)
    return best / (blocks * _BLOCK) * 1e6
