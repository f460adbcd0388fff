"""The training losses, as pure functions of logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class TeacherLogits(NamedTuple):
    """The teacher's distribution at the caching temperature, cut to its largest classes.

    `ids` [batch, tokens, k] int64, `log_probs` [batch, tokens, k], `tail` [batch, tokens]: the log of the mass of all
    classes that are not among the k.
    """

    ids: Tensor
    log_probs: Tensor
    tail: Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean next-token cross-entropy in nats: logits [batch, tokens, vocabulary], labels [batch, tokens]."""
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())


def tail_aware_kl(student_logits: Tensor, teacher: TeacherLogits, temperature: float) -> Tensor:
    """Mean KL(teacher || student) per token in nats, over k classes and one more for the tail.

    Both distributions are at `temperature`; the teacher's must have been cached at the same. Grouping classes can
    only lower a divergence (data processing inequality), so this is a lower bound of the full-vocabulary KL.
    """
    scaled = student_logits.float() / temperature
    log_norm = torch.logsumexp(scaled, dim=-1, keepdim=True)
    student = torch.gather(scaled, -1, teacher.ids) - log_norm
    # log(1 - sum p): the clamp keeps the logarithm finite where the k classes hold all the mass.
    held = torch.logsumexp(student, dim=-1).clamp(max=-1e-6)
    student_tail = torch.log(-torch.expm1(held))
    log_probs, tail = teacher.log_probs.float(), teacher.tail.float()
    kept = (log_probs.exp() * (log_probs - student)).sum(-1)
    left = torch.where(tail.exp() > 0, tail.exp() * (tail - student_tail), torch.zeros_like(tail))
    return (kept + left).mean()


def distillation_loss(
    logits: Tensor, labels: Tensor, teacher: TeacherLogits, *, alpha: float, temperature: float
) -> Tensor:
    """`alpha * CE(hard) + (1 - alpha) * T^2 * KL(p_t^(T) || p_s^(T))`: the paper's protocol."""
    divergence = tail_aware_kl(logits, teacher, temperature)
    return alpha * cross_entropy(logits, labels) + (1 - alpha) * temperature**2 * divergence
