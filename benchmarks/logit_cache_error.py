"""How far three ways to use a cut teacher distribution are from the KL divergence over the whole vocabulary.

`tail class`: the rest of the mass is one more class, as the workloads do it. `dropped`: the sum over the k classes
alone. `renormalised`: both distributions over the k classes made to sum to one. The error of the gradient is what a
student's training feels of it; that of the value can be small by chance, as what is left out has either sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from joulemark_workloads.student.losses import TeacherLogits, tail_aware_kl
from joulemark_workloads.teacher.logit_cache import top_of

TOP_KS = (16, 32, 64, 128, 256, 512)
WAYS = ("tail class", "dropped", "renormalised")
Divergence = Callable[[Tensor, TeacherLogits], Tensor]


class Errors(NamedTuple):
    """Of each token [tokens]: error of the value in nats, and the sum of absolute errors of the gradient by logits."""

    value: Tensor
    gradient: Tensor


def cached(teacher: Tensor, top_k: int) -> TeacherLogits:
    """The k classes of logits [tokens, vocabulary], in 16 bits as on disk."""
    kept = top_of(teacher, top_k, 1.0, "float16")
    ids, log_probs, tail = (torch.from_numpy(column) for column in kept)
    return TeacherLogits(ids.long(), log_probs.float(), tail.float())


def full_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of each token in nats over the whole vocabulary, in 64 bits."""
    p, q = (torch.log_softmax(logits.double(), dim=-1) for logits in (teacher, student))
    return (p.exp() * (p - q)).sum(-1)


def dropped(student: Tensor, teacher: TeacherLogits) -> Tensor:
    """The sum over the k classes alone; not a divergence, it can be negative."""
    p, q = teacher.log_probs.double(), torch.log_softmax(student.double(), dim=-1).gather(-1, teacher.ids)
    return (p.exp() * (p - q)).sum(-1)


def renormalised(student: Tensor, teacher: TeacherLogits) -> Tensor:
    """The divergence of both distributions given that the class is one of the k."""
    p = torch.log_softmax(teacher.log_probs.double(), dim=-1)
    q = torch.log_softmax(student.double().gather(-1, teacher.ids), dim=-1)
    return (p.exp() * (p - q)).sum(-1)


def tail_class(student: Tensor, teacher: TeacherLogits) -> Tensor:
    """As the training loss has it."""
    return tail_aware_kl(student, teacher, 1.0)


def errors(teacher: Tensor, student: Tensor, top_k: int) -> dict[str, Errors]:
    """By way, of logits [tokens, vocabulary] at temperature 1."""
    kept = cached(teacher, top_k)
    truth, slope = _with_gradient(lambda logits: full_kl(logits, teacher), student)
    found = {}
    for way, divergence in zip(WAYS, (tail_class, dropped, renormalised), strict=True):
        value, gradient = _with_gradient(lambda logits, of=divergence: of(logits, kept), student)  # type: ignore[misc]
        found[way] = Errors((value - truth).abs(), (gradient - slope).abs().sum(-1))
    return found


def _with_gradient(divergence: Callable[[Tensor], Tensor], student: Tensor) -> tuple[Tensor, Tensor]:
    logits = student.detach().clone().requires_grad_()
    value = divergence(logits)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient
