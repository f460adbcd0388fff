"""The losses against their definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from joulemark_workloads.student.losses import TeacherLogits, cross_entropy, distillation_loss, tail_aware_kl


def cut(logits: torch.Tensor, k: int, temperature: float = 1.0) -> TeacherLogits:
    log_probs = torch.log_softmax(logits / temperature, dim=-1)
    top, ids = torch.topk(log_probs, k, dim=-1)
    rest = (1 - top.exp().sum(-1)).clamp(min=0)
    return TeacherLogits(ids, top, torch.log(rest))


def logits(seed: int, vocabulary: int = 23) -> torch.Tensor:
    return 3 * torch.randn(2, 5, vocabulary, generator=torch.Generator().manual_seed(seed))


def full_kl(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    p = torch.log_softmax(teacher / temperature, dim=-1)
    q = torch.log_softmax(student / temperature, dim=-1)
    return functional.kl_div(q, p, log_target=True, reduction="none").sum(-1).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_with_the_whole_vocabulary_it_is_the_full_kl(temperature: float) -> None:
    teacher, student = logits(1), logits(2)
    cached = cut(teacher, 23, temperature)
    got = float(tail_aware_kl(student, cached, temperature).mean())
    assert got == pytest.approx(float(full_kl(teacher, student, temperature)), rel=1e-4)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 22), st.sampled_from([1.0, 2.0, 4.0]))
def test_grouping_the_tail_never_exceeds_the_full_kl_and_is_never_negative(
    seed: int, k: int, temperature: float
) -> None:
    teacher, student = logits(seed), logits(seed + 1)
    got = float(tail_aware_kl(student, cut(teacher, k, temperature), temperature).mean())
    assert -1e-5 <= got <= float(full_kl(teacher, student, temperature)) + 1e-4


@pytest.mark.parametrize("k", [1, 8, 23])
def test_a_student_that_is_its_teacher_has_no_divergence_and_finite_gradients(k: int) -> None:
    student = logits(3).requires_grad_()
    loss = tail_aware_kl(student, cut(student.detach(), k), 1.0).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_the_loss_is_alpha_ce_plus_one_less_alpha_t_squared_kl() -> None:
    teacher, student = logits(4), logits(5)
    labels = torch.randint(0, 23, (2, 5), generator=torch.Generator().manual_seed(6))
    cached = cut(teacher, 8, 2.0)
    divergence = tail_aware_kl(student, cached, 2.0)[:, :-1].mean()
    wanted = 0.3 * cross_entropy(student, labels) + 0.7 * 4.0 * divergence
    got = float(distillation_loss(student, labels, cached, alpha=0.3, temperature=2.0))
    assert got == pytest.approx(float(wanted))


def test_cross_entropy_is_over_the_next_token() -> None:
    student = logits(7)
    labels = torch.randint(0, 23, (2, 5), generator=torch.Generator().manual_seed(8))
    log_probs = torch.log_softmax(student, dim=-1)
    wanted = -sum(float(log_probs[b, t, labels[b, t + 1]]) for b in range(2) for t in range(4)) / 8
    assert float(cross_entropy(student, labels)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_tokens_without_a_label_count_in_neither_part(alpha: float) -> None:
    teacher, student = logits(9), logits(10)
    labels = torch.randint(0, 23, (2, 5), generator=torch.Generator().manual_seed(11))
    labels[0, :] = -100
    cached = cut(teacher, 8)
    second = TeacherLogits(*(part[1:] for part in cached))
    wanted = distillation_loss(student[1:], labels[1:], second, alpha=alpha, temperature=1.0)
    got = distillation_loss(student, labels, cached, alpha=alpha, temperature=1.0)
    assert float(got) == pytest.approx(float(wanted), rel=1e-5)


def test_micro_batches_over_their_common_count_add_up_to_the_whole() -> None:
    teacher, student = logits(12), logits(13)
    labels = torch.randint(0, 23, (2, 5), generator=torch.Generator().manual_seed(14))
    labels[0, :3] = -100
    cached = cut(teacher, 8)
    whole = distillation_loss(student, labels, cached, alpha=0.4, temperature=2.0)
    items = int((labels[:, 1:] != -100).sum())
    parts = sum(
        distillation_loss(
            student[row : row + 1],
            labels[row : row + 1],
            TeacherLogits(*(part[row : row + 1] for part in cached)),
            alpha=0.4,
            temperature=2.0,
            items=items,
        )
        for row in range(2)
    )
    assert float(parts) == pytest.approx(float(whole), rel=1e-5)
