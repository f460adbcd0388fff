"""The teacher's distribution per token on disk: its k largest log-probabilities and the log of the tail's mass."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from ..errors import WorkloadError
from ..student.losses import TeacherLogits
from .artifact import Artifact, Shard
from .cache_size import NARROW_VOCABULARY, SMALLEST_TAIL

Array = np.ndarray[Any, Any]

KIND = "logit_cache"
# Rows of logits that a GPU works on at a time, so that their log-softmax takes little of its memory.
_ROWS = 256


class Top(NamedTuple):
    """Of some tokens: ids [n, k] in no order, log-probabilities [n, k], log of the tail's mass [n]."""

    ids: Array
    log_probs: Array
    tail: Array


def top_of(logits: torch.Tensor, top_k: int, temperature: float, dtype: str = "float32") -> Top:
    """The k largest classes of logits [n, vocabulary] at a temperature, all where k is larger, as they are kept.

    Ids take 16 bits where they fit. On a GPU they are narrowed before they leave it.
    """
    vocabulary = logits.shape[-1]
    k = min(top_k, vocabulary)
    if logits.device.type == "cpu":
        # Only here, as the compiler takes its time to load.
        from .top_classes import choose

        plain = logits if logits.dtype == torch.bfloat16 else logits.float()
        return Top(*choose(plain.contiguous(), k, temperature, _ids_dtype(vocabulary), dtype))
    parts = [_top(part, k, temperature) for part in torch.split(logits, _ROWS)]
    dtypes = (getattr(torch, name) for name in (_ids_dtype(vocabulary), dtype, dtype))
    whole = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return Top(*(column.to(narrow).cpu().numpy() for column, narrow in zip(whole, dtypes, strict=True)))


def _ids_dtype(vocabulary: int) -> str:
    return "uint16" if vocabulary <= NARROW_VOCABULARY else "int32"


def _top(logits: torch.Tensor, k: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """On a GPU, which sorts whole rows faster than it could gather parts of them."""
    top, ids = torch.topk(torch.log_softmax(logits.float() / temperature, dim=-1), k, dim=-1)
    held = torch.logsumexp(top, dim=-1).clamp(max=-SMALLEST_TAIL)
    return ids, top, torch.log(-torch.expm1(held))


def table_of(kept: Top, rows: int) -> pa.Table:
    """So many equal rows as Arrow, without a Python list of numbers anywhere."""
    return pa.table({name: _column(values.reshape(rows, -1)) for name, values in kept._asdict().items()})


def _column(values: Array) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def fill(
    cache: Artifact, shards: list[int], model: Any, blocks: Any, batch_blocks: int, made_by: str
) -> Generator[int, None, None]:
    """Run the teacher over the blocks of these shards and yield each one's tokens once it is safely on disk.

    A shard is written while the next is computed. May be interrupted anywhere.
    """
    waiting: Future[Shard] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="logit-cache") as writer:
        for index in shards:
            parts, rows = _computed(cache, index, model, blocks, batch_blocks)
            before, waiting = waiting, writer.submit(_write, cache, index, parts, rows, made_by)
            if before is not None:
                yield before.result().tokens
        if waiting is not None:
            yield waiting.result().tokens


def _computed(cache: Artifact, index: int, model: Any, blocks: Any, batch_blocks: int) -> tuple[list[Top], int]:
    """A shard batch by batch, and how many rows it has."""
    key, size = cache.key, int(cache.key["blocks_per_shard"])
    ids = blocks[index * size : (index + 1) * size]["input_ids"]
    parts: list[Top] = []
    with torch.inference_mode():
        for batch in torch.split(ids, batch_blocks):
            logits = model(input_ids=batch.long().to(model.device), use_cache=False).logits
            wanted = int(key["top_k"]), float(key["temperature"]), str(key["dtype"])
            parts.append(top_of(logits.flatten(0, 1), *wanted))
    return parts, len(ids)


def _write(cache: Artifact, index: int, parts: list[Top], rows: int, made_by: str) -> Shard:
    whole = Top(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if np.isnan(whole.tail).any():
        raise WorkloadError("the teacher's logits are no numbers: set teacher.dtype to float32, or check its weights")
    return cache.append(index, table_of(whole, rows), len(whole.tail), made_by)


def collate(rows: dict[str, Array]) -> TeacherLogits:
    """Cache rows [batch, …] as the teacher's distribution for the loss."""
    shape = (*rows["tail"].shape, -1)
    return TeacherLogits(
        torch.from_numpy(rows["ids"].reshape(shape).astype(np.int64)),
        torch.from_numpy(rows["log_probs"].reshape(shape)).float(),
        torch.from_numpy(rows["tail"]).float(),
    )
