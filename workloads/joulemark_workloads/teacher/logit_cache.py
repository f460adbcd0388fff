"""The teacher's distribution per token on disk: its k largest log-probabilities and the log of the tail's mass."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from ..student.losses import TeacherLogits
from .artifact import Artifact
from .cache_size import NARROW_VOCABULARY

KIND = "logit_cache"
# Rows of logits worked on at a time: what log-sum-exp writes then stays in the processor's cache.
_ROWS = 128
# Below this the tail is nothing in 16 bits, and its logarithm must stay finite.
_SMALLEST_TAIL = 1e-6


class Top(NamedTuple):
    """Of some tokens: ids [n, k], log-probabilities [n, k], log of the tail's mass [n]."""

    ids: torch.Tensor
    log_probs: torch.Tensor
    tail: torch.Tensor


def top_of(logits: torch.Tensor, top_k: int, temperature: float) -> Top:
    """The k largest classes of logits [n, vocabulary] at a temperature, in float32; all of them where k is larger."""
    parts = [_top(part, min(top_k, logits.shape[-1]), temperature) for part in torch.split(logits, _ROWS)]
    return Top(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _top(logits: torch.Tensor, top_k: int, temperature: float) -> Top:
    scaled = logits.float() / temperature if temperature != 1 else logits.float()
    values, ids = torch.topk(scaled, top_k, dim=-1)
    top = values - torch.logsumexp(scaled, dim=-1, keepdim=True)
    held = torch.logsumexp(top, dim=-1).clamp(max=-_SMALLEST_TAIL)
    return Top(ids, top, torch.log(-torch.expm1(held)))


def table_of(top: Top, vocabulary: int, rows: int, dtype: str) -> pa.Table:
    """So many equal rows as Arrow, without a Python list of numbers anywhere; ids take 16 bits where they fit."""
    narrow = np.uint16 if vocabulary <= NARROW_VOCABULARY else np.int32
    wide = np.float16 if dtype == "float16" else np.float32
    columns = {
        "ids": top.ids.cpu().numpy().astype(narrow),
        "log_probs": top.log_probs.cpu().numpy().astype(wide),
        "tail": top.tail.cpu().numpy().astype(wide),
    }
    return pa.table({name: _column(values.reshape(rows, -1)) for name, values in columns.items()})


def _column(values: np.ndarray[Any, Any]) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def fill(
    cache: Artifact, shards: list[int], model: Any, blocks: Any, batch_blocks: int, made_by: str
) -> Generator[int, None, None]:
    """Run the teacher over the blocks of these shards and yield each one's tokens once it is safely on disk.

    A shard is written while the next is computed. May be interrupted anywhere.
    """
    waiting: Future[Any] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="logit-cache") as writer:
        for index in shards:
            table, tokens = _shard(cache, index, model, blocks, batch_blocks)
            before, waiting = waiting, writer.submit(cache.append, index, table, tokens, made_by)
            if before is not None:
                yield before.result().tokens
        if waiting is not None:
            yield waiting.result().tokens


def _shard(cache: Artifact, index: int, model: Any, blocks: Any, batch_blocks: int) -> tuple[pa.Table, int]:
    size = int(cache.key["blocks_per_shard"])
    ids = blocks[index * size : (index + 1) * size]["input_ids"]
    parts: list[Top] = []
    with torch.inference_mode():
        for batch in torch.split(ids, batch_blocks):
            logits = model(input_ids=batch.long().to(model.device), use_cache=False).logits
            top = top_of(logits.flatten(0, 1), int(cache.key["top_k"]), float(cache.key["temperature"]))
            parts.append(Top(*(column.cpu() for column in top)))
            vocabulary = logits.shape[-1]
    whole = Top(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return table_of(whole, vocabulary, len(ids), str(cache.key["dtype"])), ids.numel()


def collate(rows: dict[str, np.ndarray[Any, Any]]) -> TeacherLogits:
    """Cache rows [batch, …] as the teacher's distribution for the loss."""
    shape = (*rows["tail"].shape, -1)
    return TeacherLogits(
        torch.from_numpy(rows["ids"].reshape(shape).astype(np.int64)),
        torch.from_numpy(rows["log_probs"].reshape(shape)).float(),
        torch.from_numpy(rows["tail"]).float(),
    )
