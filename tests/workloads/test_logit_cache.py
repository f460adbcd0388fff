"""The logit cache: what comes back is what the teacher said, to 16 bits, and nothing is computed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import VOCABULARY, tiny_model

from joulemark_workloads.config.sections import LogitCache
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.teacher.artifact import Artifact, open_artifact
from joulemark_workloads.teacher.cache_size import bytes_per_token
from joulemark_workloads.teacher.logit_cache import KIND, Top, collate, fill, table_of, top_of

BLOCKS, TOKENS, TOP_K = 7, 8, 5


@pytest.fixture(scope="module")
def blocks() -> Any:
    ids = torch.randint(0, VOCABULARY, (BLOCKS, TOKENS), generator=torch.Generator().manual_seed(0))
    return datasets.Dataset.from_dict({"input_ids": ids.tolist()}).with_format("torch")


def cache(root: Path, temperature: float = 1.0, dtype: str = "float16", top_k: int = TOP_K) -> Artifact:
    key = {"top_k": top_k, "temperature": temperature, "dtype": dtype, "blocks_per_shard": 2}
    return open_artifact(root, KIND, key, -(-BLOCKS // 2))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 5e-3), ("float32", 1e-5)])
@pytest.mark.parametrize("batch_blocks", [1, 2])
def test_what_comes_back_is_what_the_teacher_said(
    tmp_path: Path, blocks: Any, temperature: float, dtype: str, tolerance: float, batch_blocks: int
) -> None:
    made = cache(tmp_path, temperature, dtype)
    counted = list(fill(made, made.missing, tiny_model(), blocks, batch_blocks, "kd-1"))
    assert counted == [16, 16, 16, 8]
    rows = made.read()
    assert len(rows) == BLOCKS
    batch = collate({name: np.stack([rows[i][name] for i in range(BLOCKS)]) for name in rows.column_names})
    with torch.inference_mode():
        logits = tiny_model()(input_ids=blocks[:]["input_ids"]).logits
    truth = torch.log_softmax(logits / temperature, dim=-1)
    assert torch.allclose(torch.gather(truth, -1, batch.ids), batch.log_probs, atol=tolerance)
    assert torch.equal(batch.ids.sort().values, truth.topk(TOP_K).indices.sort().values)
    assert torch.allclose(batch.log_probs.exp().sum(-1) + batch.tail.exp(), torch.ones(BLOCKS, TOKENS), atol=tolerance)


def test_what_was_paid_for_is_not_paid_for_twice(tmp_path: Path, blocks: Any) -> None:
    made = cache(tmp_path)
    shards = fill(made, made.missing, tiny_model(), blocks, 1, "kd-1")
    next(shards)
    shards.close()
    resumed = cache(tmp_path)
    # The one that was being written when it was stopped is kept as well.
    assert resumed.missing == [2, 3]
    seen = []
    model = tiny_model()
    model.register_forward_hook(lambda _, __, output: seen.append(output.logits.shape[:2].numel()))
    assert sum(fill(resumed, resumed.missing, model, blocks, 1, "kd-2")) == 3 * TOKENS == sum(seen)
    whole = cache(tmp_path / "other")
    list(fill(whole, whole.missing, tiny_model(), blocks, 1, "kd-3"))
    for shard in range(4):
        name = f"{shard:05d}.arrow"
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def as_tensors(top: Top) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.from_numpy(top.ids.astype(np.int64)), torch.from_numpy(top.log_probs), torch.from_numpy(top.tail)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 300))
def test_mass_is_conserved_for_any_k(seed: int, top_k: int, tokens: int) -> None:
    logits = 4 * torch.randn(tokens, 31, generator=torch.Generator().manual_seed(seed))
    ids, log_probs, tail = as_tensors(top_of(logits, top_k, 1.0))
    assert ids.shape == (tokens, min(top_k, 31))
    assert torch.allclose(log_probs.exp().sum(-1) + tail.exp(), torch.ones(tokens), atol=1e-4)
    assert torch.isfinite(tail).all()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000), st.sampled_from([1, 7, 20]),
    st.sampled_from([20, 97, 1024, 1025, 2561, 6400, 32_768, 50_257]),
    st.sampled_from([torch.float32, torch.bfloat16]), st.sampled_from([0.5, 1.0, 4.0]),
)  # fmt: skip
def test_the_largest_are_found_whatever_the_vocabulary_and_its_ties(
    seed: int, top_k: int, vocabulary: int, dtype: torch.dtype, temperature: float
) -> None:
    logits = (5 * torch.randn(9, vocabulary, generator=torch.Generator().manual_seed(seed))).to(dtype)
    # Coarse, so that many are equal; and some that are ruled out.
    logits[::2] = (logits[::2] / 4).round()
    logits[4, vocabulary // 2 :] = -torch.inf
    logits[7, 1:] = -torch.inf
    ids, log_probs, tail = as_tensors(top_of(logits, top_k, temperature))
    truth = torch.log_softmax(logits.double() / temperature, dim=-1).float()
    assert torch.allclose(log_probs.sort(descending=True).values, truth.topk(top_k).values, atol=2e-5)
    assert torch.allclose(truth.gather(-1, ids), log_probs, atol=2e-5)
    assert all(len(set(row)) == top_k for row in ids.tolist())
    assert torch.allclose(log_probs.exp().sum(-1) + tail.exp(), torch.ones(9), atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("vocabulary", "top_k"), [(1, 1), (31, 31), (1024, 341), (1024, 1020), (1024, 1024)])
def test_k_may_be_as_large_as_the_vocabulary(dtype: torch.dtype, vocabulary: int, top_k: int) -> None:
    logits = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(0)).to(dtype)
    ids, log_probs, _ = as_tensors(top_of(logits, top_k, 1.0))
    truth = torch.log_softmax(logits.double(), dim=-1).float()
    assert torch.allclose(log_probs.sort(descending=True).values, truth.topk(top_k).values, atol=2e-5)
    assert torch.allclose(truth.gather(-1, ids), log_probs, atol=2e-5)
    assert all(len(set(row)) == top_k for row in ids.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", [0, 1500, 2560])
def test_what_is_no_number_taints_its_row_alone(dtype: torch.dtype, value: float, place: int) -> None:
    logits = torch.randn(5, 2561, generator=torch.Generator().manual_seed(0)).to(dtype)
    logits[2, place] = value
    assert np.isnan(top_of(logits, 7, 1.0).tail).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, torch.int32), (torch.bfloat16, torch.int16)])
def test_nor_may_it_hide_behind_a_sign(dtype: torch.dtype, bits: torch.dtype) -> None:
    """As processors make it of what has no result, such as infinity less infinity."""
    logits = torch.randn(3, 2561, generator=torch.Generator().manual_seed(0)).to(dtype)
    logits[1, 1500] = torch.nan
    logits.view(bits)[1, 1500] |= torch.iinfo(bits).min
    assert np.isnan(top_of(logits, 7, 1.0).tail).tolist() == [False, True, False]


def test_a_teacher_whose_logits_are_no_numbers_is_refused(tmp_path: Path, blocks: Any) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    made = cache(tmp_path)
    with pytest.raises(WorkloadError, match=r"no numbers: set teacher\.dtype"):
        list(fill(made, made.missing, model, blocks, 1, "kd-1"))
    assert made.tokens == 0


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("vocabulary", [97, 100_352])
def test_the_stated_room_is_what_a_token_takes(tmp_path: Path, dtype: str, vocabulary: int) -> None:
    tokens = 4096
    one = top_of(torch.randn(64, vocabulary), 16, 1.0, dtype)
    top = Top(*(np.concatenate([column] * 64) for column in one))
    made = open_artifact(tmp_path, KIND, {}, 1)
    shard = made.append(0, table_of(top, 64), tokens, "kd-1")
    stated = bytes_per_token(LogitCache(top_k=16, dtype="float16" if dtype == "float16" else "float32"), vocabulary)
    assert stated <= shard.bytes / tokens <= stated * 1.01
