"""The logit cache: what comes back is what the teacher said, nothing is computed twice, nothing damaged is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from tiny_model import VOCABULARY, tiny_model

from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.logit_cache import CacheKey, LogitCache, collate

KEY = CacheKey("teacher", "corpus", blocks=7, block_tokens=8, top_k=5, temperature=1.0, blocks_per_shard=2)


@pytest.fixture(scope="module")
def blocks() -> Any:
    ids = torch.randint(0, VOCABULARY, (7, 8), generator=torch.Generator().manual_seed(0))
    return datasets.Dataset.from_dict({"input_ids": ids.tolist()}).with_format("torch")


def fill(cache: LogitCache, blocks: Any, shards: int | None = None) -> int:
    tokens = 0
    for done, fresh in enumerate(cache.fill(tiny_model(), blocks), start=1):
        tokens += fresh
        if done == shards:
            break
    return tokens


def test_what_comes_back_is_what_the_teacher_said_to_16_bit(tmp_path: Path, blocks: Any) -> None:
    cache = LogitCache(tmp_path, KEY)
    assert fill(cache, blocks) == 7 * 8
    rows = cache.read()
    assert len(rows) == 7
    batch = collate({name: np.stack([rows[i][name] for i in range(7)]) for name in rows.column_names}, KEY.top_k)
    with torch.inference_mode():
        truth = torch.log_softmax(tiny_model()(input_ids=blocks[:]["input_ids"]).logits, dim=-1)
    assert torch.allclose(torch.gather(truth, -1, batch.ids), batch.log_probs, atol=5e-3)
    assert torch.allclose(batch.log_probs.exp().sum(-1) + batch.tail.exp(), torch.ones(7, 8), atol=5e-3)


def test_an_interrupted_cache_goes_on_where_it_stopped(tmp_path: Path, blocks: Any) -> None:
    assert fill(LogitCache(tmp_path, KEY, made_by="kd-1"), blocks, shards=2) == 2 * 2 * 8
    resumed = LogitCache(tmp_path, KEY, made_by="kd-2")
    assert (resumed.blocks_done, resumed.is_complete, resumed.made_by) == (4, False, "kd-1")
    assert fill(resumed, blocks) == 3 * 8
    assert LogitCache(tmp_path, KEY).is_complete


def test_a_damaged_shard_and_what_follows_is_made_anew(tmp_path: Path, blocks: Any) -> None:
    cache = LogitCache(tmp_path, KEY)
    fill(cache, blocks)
    shard = cache.folder / "shard-00001.arrow"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert LogitCache(tmp_path, KEY).blocks_done == 2


def test_another_key_is_another_cache(tmp_path: Path, blocks: Any) -> None:
    fill(LogitCache(tmp_path, KEY), blocks)
    others = (
        KEY._replace(teacher="t2"),
        KEY._replace(corpus="c2"),
        KEY._replace(top_k=6),
        KEY._replace(temperature=2.0),
    )
    assert all(LogitCache(tmp_path, other).blocks_done == 0 for other in others)


def test_a_manifest_that_says_otherwise_is_refused_with_the_difference_named(tmp_path: Path, blocks: Any) -> None:
    cache = LogitCache(tmp_path, KEY)
    fill(cache, blocks)
    manifest = cache.folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["key"]["top_k"] = 9
    manifest.write_text(json.dumps(data))
    with pytest.raises(WorkloadError, match="top_k: 9 there, 5 asked for"):
        LogitCache(tmp_path, KEY)
    manifest.write_text("{")
    with pytest.raises(WorkloadError, match="damaged"):
        LogitCache(tmp_path, KEY)
