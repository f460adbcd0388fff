"""Text into blocks: tokens are counted, held-out text is never trained on, prompts are told from responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from joulemark_workloads.config.sections import Data
from joulemark_workloads.data.pack import IGNORED, Ids, keep, pack, pack_responses, read
from joulemark_workloads.data.prompts import keep_prompts, read_prompts
from joulemark_workloads.data.rows import rows_of
from joulemark_workloads.errors import WorkloadError


@pytest.fixture(scope="module")
def tokenizer(teacher_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(teacher_folder)


def jsonl(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_blocks_are_full_disjoint_and_the_same_for_the_same_seed(tokenizer: Any) -> None:
    data = Data(block_tokens=32, train_blocks=20, heldout_blocks=5)
    packed = pack(rows_of(data, tokenizer), tokenizer, data)
    assert packed.train.ids.shape == (20, 32)
    assert packed.heldout.ids.shape == (5, 32)
    trained = {block.tobytes() for block in packed.train.ids}
    assert not any(block.tobytes() in trained for block in packed.heldout.ids)
    assert packed.tokens >= 25 * 32
    assert pack(rows_of(data, tokenizer), tokenizer, data).train.identity == packed.train.identity
    other = data.model_copy(update={"shuffle_seed": 1})
    assert pack(rows_of(other, tokenizer), tokenizer, other).train.identity != packed.train.identity


def test_more_blocks_than_the_text_has_are_refused_with_the_remedy(tokenizer: Any) -> None:
    data = Data(train_blocks=100_000, block_tokens=64)
    with pytest.raises(WorkloadError, match=r"lower data\.train_blocks"):
        pack(rows_of(data, tokenizer), tokenizer, data)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty: it has 0 rows"),
        ([{"text": "  "}, {"text": ""}], "is empty: it has 2 rows"),
        ([{"question": "?"}], r"has \['question'\]: 'text', 'messages'"),
    ],
)
def test_a_data_set_without_text_is_named(tmp_path: Path, tokenizer: Any, rows: list[Any], words: str) -> None:
    data = Data(source=jsonl(tmp_path / "d.jsonl", *rows))
    with pytest.raises(WorkloadError, match=words):
        list(rows_of(data, tokenizer))


def test_a_file_that_is_not_json_is_named_with_its_line(tmp_path: Path, tokenizer: Any) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "a"}\n{"text"\n')
    with pytest.raises(WorkloadError, match=r"d\.jsonl:2: is not JSON"):
        list(rows_of(Data(source=str(tmp_path / "d.jsonl")), tokenizer))


def test_a_hub_that_is_out_of_reach_is_named(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WorkloadError, match=r"data set 'no-such/data:part' is not at hand .*where a hub is in reach"):
        list(rows_of(Data(source="no-such/data:part"), tokenizer))


def test_the_loss_looks_at_responses_alone_where_asked(tmp_path: Path, tokenizer: Any) -> None:
    rows = [{"prompt": f"What is {n}?", "response": f"It is the number {n}."} for n in range(20)]
    source = jsonl(tmp_path / "d.jsonl", *rows)
    data = Data(source=source, block_tokens=8, train_blocks=4, heldout_blocks=1, loss_on="responses")
    packed = pack(rows_of(data, tokenizer), tokenizer, data)
    ids, labels = packed.train.ids.reshape(-1), packed.train.labels.reshape(-1)
    seen = labels != IGNORED
    assert np.array_equal(ids[seen], labels[seen])
    first = packed.prompts[0]
    assert np.array_equal(ids[: len(first)], first)
    assert not seen[: len(first)].any()
    assert seen[len(first)]
    assert tokenizer.decode(first).startswith("What is")


def test_the_last_answer_of_a_conversation_is_the_response(tmp_path: Path, tokenizer: Any) -> None:
    talk = [("user", "one"), ("assistant", "two"), ("user", "three"), ("assistant", "four"), ("user", "five")]
    messages = [{"role": role, "content": content} for role, content in talk]
    data = Data(source=jsonl(tmp_path / "d.jsonl", {"messages": messages}))
    (row,) = rows_of(data, tokenizer)
    assert (row.prompt, row.response) == ("one\n\ntwo\n\nthree\n\n", "four")


def test_responses_are_packed_behind_their_prompts_with_an_end(tmp_path: Path) -> None:
    def ids(*values: int) -> Ids:
        return np.array(values, dtype=np.int32)

    data = Data(block_tokens=8, loss_on="responses")
    blocks = pack_responses([(ids(1, 2), ids(3, 4, 0)), (ids(5), ids(6, 7))], 0, data)
    assert blocks.ids.tolist() == [[1, 2, 3, 4, 0, 5, 6, 7]]
    assert blocks.labels.tolist() == [[IGNORED, IGNORED, 3, 4, 0, IGNORED, 6, 7]]
    keep(blocks, tmp_path / "b")
    assert read(tmp_path / "b")[0]["labels"].tolist() == blocks.labels[0].tolist()


def test_prompts_of_any_length_come_back(tmp_path: Path) -> None:
    prompts = [np.arange(n, dtype=np.int32) for n in (3, 0, 5)]
    keep_prompts(prompts, tmp_path / "p.arrow")
    assert [prompt.tolist() for prompt in read_prompts(tmp_path / "p.arrow")] == [p.tolist() for p in prompts]
