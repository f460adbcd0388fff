"""The teacher's logits on disk: top-k log-probabilities and the tail's mass, 16-bit, memory-mapped Arrow.

A cache is named by what made it. It grows shard by shard, each written whole or not at all, so that an interrupted
one goes on where it stopped: what was paid for is not paid for twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import torch
from rich.progress import track

from .errors import WorkloadError
from .losses import TeacherLogits

_MANIFEST = "manifest.json"
_FORMAT = 1


class CacheKey(NamedTuple):
    """Everything that decides what is in a cache."""

    teacher: str
    corpus: str
    blocks: int
    block_tokens: int
    top_k: int
    temperature: float
    blocks_per_shard: int

    @property
    def identity(self) -> str:
        """The content address, `sha256:…`."""
        facts = {"format": _FORMAT, **self._asdict()}
        return "sha256:" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class LogitCache:
    """One cache folder, complete or growing."""

    def __init__(self, root: Path, key: CacheKey, made_by: str = "") -> None:
        self.key = key
        self.folder = root / key.identity.removeprefix("sha256:")[:16]
        self._shards: list[dict[str, Any]] = []
        self.made_by = made_by
        if (self.folder / _MANIFEST).exists():
            self._read_manifest()

    @property
    def blocks_done(self) -> int:
        """Blocks that are on disk and verified."""
        return sum(int(shard["blocks"]) for shard in self._shards)

    @property
    def is_complete(self) -> bool:
        """Whether every block is there."""
        return self.blocks_done == self.key.blocks

    def fill(self, model: Any, blocks: Any) -> Iterator[int]:
        """Run the teacher over the missing blocks and yield the tokens of each shard once it is safely on disk.

        `blocks` is a data set with `input_ids`; may be interrupted anywhere.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        starts = range(self.blocks_done, self.key.blocks, self.key.blocks_per_shard)
        for start in track(starts, description="caching teacher logits"):
            rows = blocks[start : min(start + self.key.blocks_per_shard, self.key.blocks)]["input_ids"]
            self._append([_top_k(model, row, self.key) for row in rows])
            yield rows.numel()

    def read(self) -> Any:
        """The rows as a memory-mapped data set of tensors: `ids`, `log_probs` [tokens * k], `tail` [tokens]."""
        parts = [datasets.Dataset.from_file(str(self.folder / str(shard["file"]))) for shard in self._shards]
        return datasets.concatenate_datasets(parts).with_format("numpy")

    def _append(self, rows: list[tuple[np.ndarray[Any, Any], ...]]) -> None:
        file = self.folder / f"shard-{len(self._shards):05d}.arrow"
        partial = file.with_suffix(f".{os.getpid()}.partial")
        columns = {name: _column([row[i] for row in rows]) for i, name in enumerate(("ids", "log_probs", "tail"))}
        table = pa.table(columns)
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        partial.rename(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        self._shards.append({"file": file.name, "blocks": len(rows), "sha256": digest})
        self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = {"format": _FORMAT, "made_by": self.made_by, "key": self.key._asdict(), "shards": self._shards}
        partial = self.folder / f"{_MANIFEST}.{os.getpid()}.partial"
        partial.write_text(json.dumps(manifest, indent=1))
        partial.rename(self.folder / _MANIFEST)

    def _read_manifest(self) -> None:
        """Take over what is there, after checking that it is what its name says."""
        path = self.folder / _MANIFEST
        try:
            manifest = json.loads(path.read_text())
            differences = _differences(manifest["key"], self.key._asdict())
            shards = manifest["shards"]
        except (ValueError, KeyError, TypeError) as error:
            raise WorkloadError(f"{path} is damaged ({error}): remove {self.folder} to make it anew") from error
        if differences:
            raise WorkloadError(f"{self.folder} was made otherwise ({differences}): remove it to make it anew")
        self.made_by = manifest["made_by"]
        for shard in shards:
            file = self.folder / str(shard["file"])
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != shard["sha256"]:
                # Shards are in order: from the first that fails on, all are made anew.
                break
            self._shards.append(shard)


def collate(rows: dict[str, np.ndarray[Any, Any]], top_k: int) -> TeacherLogits:
    """Cache rows [batch, …] as the teacher's distribution for the loss."""
    shape = (*rows["tail"].shape, top_k)
    return TeacherLogits(
        torch.from_numpy(rows["ids"].reshape(shape).astype(np.int64)),
        torch.from_numpy(rows["log_probs"].reshape(shape)).float(),
        torch.from_numpy(rows["tail"]).float(),
    )


def _top_k(model: Any, block: torch.Tensor, key: CacheKey) -> tuple[np.ndarray[Any, Any], ...]:
    """ids, log-probabilities and tail mass (log) of one block at the cache's temperature, 16-bit where it fits."""
    with torch.inference_mode():
        logits = model(input_ids=block[None].to(model.device)).logits[0].float() / key.temperature
        log_probs = torch.log_softmax(logits, dim=-1)
        top, ids = torch.topk(log_probs, min(key.top_k, log_probs.shape[-1]), dim=-1)
        held = torch.logsumexp(top, dim=-1).clamp(max=-1e-6)
        tail = torch.log(-torch.expm1(held))
    narrow = np.uint16 if log_probs.shape[-1] <= 2**16 else np.int32
    return (
        ids.cpu().numpy().astype(narrow).reshape(-1),
        top.half().cpu().numpy().reshape(-1),
        tail.half().cpu().numpy(),
    )


def _column(arrays: list[np.ndarray[Any, Any]]) -> Any:
    """One row an array, all of one length, without a Python list of numbers anywhere."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(arrays)), len(arrays[0]))


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    names = sorted({*theirs, *ours})
    return ", ".join(
        f"{name}: {theirs.get(name)} there, {ours.get(name)} asked for"
        for name in names
        if theirs.get(name) != ours.get(name)
    )
