"""A student is its teacher's layers, and a model that is not there is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import tiny_model

from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.language_model import find_teacher, make_student


def test_a_student_with_all_layers_says_what_its_teacher_says() -> None:
    teacher = tiny_model(layers=3)
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        same = make_student(teacher, 3)(input_ids=ids).logits
        assert torch.allclose(same, teacher(input_ids=ids).logits, atol=1e-5)


def test_a_student_keeps_first_layers_and_the_last() -> None:
    teacher = tiny_model(layers=5)
    student = make_student(teacher, 3)
    for ours, theirs in enumerate((0, 1, 4)):
        for name, weight in student.model.layers[ours].state_dict().items():
            assert torch.equal(weight, teacher.model.layers[theirs].state_dict()[name])
    assert len(student.model.layers) == 3


def test_more_layers_than_the_teacher_has_are_refused() -> None:
    with pytest.raises(WorkloadError, match="has only 3"):
        make_student(tiny_model(layers=3), 4)


def test_a_model_that_is_not_at_hand_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WorkloadError, match="'no-such/model' is not at hand"):
        find_teacher("no-such/model", tmp_path)
