"""Rows into blocks of exactly so many tokens, and where the loss counts."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa

from ..config.sections import Data
from ..errors import WorkloadError
from .rows import Row

Ids = np.ndarray[Any, np.dtype[np.int32]]
# What the loss leaves out, by PyTorch's custom.
IGNORED = -100
_BATCH_ROWS = 256


class Tokens(NamedTuple):
    """A tokenised row and what of it was prompt: ids [n], labels [n] (IGNORED where the loss does not look)."""

    ids: Ids
    labels: Ids
    prompt: Ids


class Blocks(NamedTuple):
    """Packed blocks [n, block_tokens]: ids and labels."""

    ids: Ids
    labels: Ids

    @property
    def identity(self) -> str:
        """The content address."""
        return "sha256:" + hashlib.sha256(self.ids.tobytes() + self.labels.tobytes()).hexdigest()


class Packed(NamedTuple):
    """Training and held-out blocks, the prompts of the training rows, and how many tokens were tokenised."""

    train: Blocks
    heldout: Blocks
    prompts: list[Ids]
    tokens: int


def pack(rows: Iterable[Row], tokenizer: Any, data: Data) -> Packed:
    """Fill the training blocks, then the held-out ones from the next row on, so that no row is in both.

    Raises WorkloadError where the rows do not suffice.
    """
    stream = iter(_tokenised(rows, tokenizer, data))
    train_rows = _take(stream, data.train_blocks * data.block_tokens)
    heldout_rows = _take(stream, data.heldout_blocks * data.block_tokens)
    train, heldout = _blocks(train_rows, data.block_tokens), _blocks(heldout_rows, data.block_tokens)
    if len(train.ids) < data.train_blocks or len(heldout.ids) < data.heldout_blocks:
        raise WorkloadError(
            f"data asks for {data.train_blocks} + {data.heldout_blocks} blocks of {data.block_tokens} tokens, "
            f"{data.source!r} fills {len(train.ids)} + {len(heldout.ids)}: "
            "lower data.train_blocks or data.heldout_blocks"
        )
    tokens = sum(len(row.ids) for row in (*train_rows, *heldout_rows))
    train = Blocks(train.ids[: data.train_blocks], train.labels[: data.train_blocks])
    heldout = Blocks(heldout.ids[: data.heldout_blocks], heldout.labels[: data.heldout_blocks])
    return Packed(train, heldout, [row.prompt for row in train_rows if len(row.prompt)], tokens)


def pack_responses(pairs: Iterable[tuple[Ids, Ids]], end: int, data: Data) -> Blocks:
    """Prompts and the ids written in answer to them as blocks; what does not fill a block is left out."""
    rows = []
    for prompt, response in pairs:
        is_ended = len(response) and response[-1] == end
        ids = np.concatenate([prompt, response, np.array([] if is_ended else [end])])
        rows.append(_row(ids.astype(np.int32), len(prompt), data))
    return _blocks(rows, data.block_tokens)


def keep(blocks: Blocks, folder: Path) -> None:
    """Write blocks as Arrow; the folder appears whole or not at all."""
    width = blocks.ids.shape[1]
    table = pa.table(
        {
            name: pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width)
            for name, values in (("input_ids", blocks.ids), ("labels", blocks.labels))
        }
    )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    datasets.Dataset(table).save_to_disk(str(partial))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def read(folder: Path) -> Any:
    """Blocks from disk, memory-mapped, as tensors `input_ids` and `labels`."""
    return datasets.load_from_disk(str(folder)).with_format("torch")


def _tokenised(rows: Iterable[Row], tokenizer: Any, data: Data) -> Iterator[Tokens]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        prompts = tokenizer([row.prompt for row in batch], add_special_tokens=False)["input_ids"]
        responses = tokenizer([row.response for row in batch], add_special_tokens=False)["input_ids"]
        for prompt, response in zip(prompts, responses, strict=True):
            ids = np.array([*prompt, *response, tokenizer.eos_token_id], dtype=np.int32)
            yield _row(ids, len(prompt), data)


def _row(ids: Ids, prompt_tokens: int, data: Data) -> Tokens:
    labels = ids.copy()
    if data.loss_on == "responses":
        labels[:prompt_tokens] = IGNORED
    return Tokens(ids, labels, ids[:prompt_tokens])


def _take(stream: Iterator[Tokens], tokens: int) -> list[Tokens]:
    """Rows until there are so many tokens."""
    rows: list[Tokens] = []
    while tokens > 0 and (row := next(stream, None)) is not None:
        rows.append(row)
        tokens -= len(row.ids)
    return rows


def _blocks(rows: list[Tokens], width: int) -> Blocks:
    def cut(parts: list[Ids]) -> Ids:
        flat = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return flat[: len(flat) // width * width].reshape(-1, width)

    return Blocks(cut([row.ids for row in rows]), cut([row.labels for row in rows]))
