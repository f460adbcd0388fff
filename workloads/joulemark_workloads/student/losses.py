"""The training losses, as pure functions of logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_IGNORED = -100
# 1 - sum(p) is rounded to this at least, so that its logarithm and gradient stay finite where k classes hold all.
_SMALLEST_TAIL = 1e-6


class TeacherLogits(NamedTuple):
    """The teacher's distribution at the caching temperature, cut to its largest classes.

    `ids` [batch, tokens, k] int64, `log_probs` [batch, tokens, k], `tail` [batch, tokens]: the log of the mass of all
    classes that are not among the k.
    """

    ids: Tensor
    log_probs: Tensor
    tail: Tensor


def cross_entropy(logits: Tensor, labels: Tensor, items: Tensor | int | None = None) -> Tensor:
    """Next-token cross-entropy in nats: logits [batch, tokens, vocabulary], labels [batch, tokens], -100 left out.

    The mean over what is left, or the sum over `items` where they are given (an accumulated batch's count).
    """
    flat, targets = logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
    if items is None:
        return functional.cross_entropy(flat, targets, ignore_index=_IGNORED)
    return functional.cross_entropy(flat, targets, ignore_index=_IGNORED, reduction="sum") / items


def tail_aware_kl(student_logits: Tensor, teacher: TeacherLogits, temperature: float) -> Tensor:
    """KL(teacher || student) of each token in nats [batch, tokens], over k classes and one more for the tail.

    Both distributions are at `temperature`; the teacher's must have been cached at the same. Grouping classes can
    only lower a divergence (data processing inequality), so this is a lower bound of the full-vocabulary KL.
    """
    scaled = student_logits.float() / temperature
    log_norm = torch.logsumexp(scaled, dim=-1, keepdim=True)
    student = torch.gather(scaled, -1, teacher.ids) - log_norm
    held = torch.logsumexp(student, dim=-1).clamp(max=-_SMALLEST_TAIL)
    student_tail = torch.log(-torch.expm1(held))
    log_probs, tail = teacher.log_probs.float(), teacher.tail.float()
    kept = (log_probs.exp() * (log_probs - student)).sum(-1)
    left = torch.where(tail.exp() > 0, tail.exp() * (tail - student_tail), torch.zeros_like(tail))
    return kept + left


def distillation_loss(
    logits: Tensor,
    labels: Tensor,
    teacher: TeacherLogits,
    *,
    alpha: float,
    temperature: float,
    items: Tensor | int | None = None,
) -> Tensor:
    """`alpha * CE(hard) + (1 - alpha) * T^2 * KL(p_t^(T) || p_s^(T))`, both over the tokens that have a label.

    The paper's protocol (arXiv 2605.13981). `items` as in `cross_entropy`.
    """
    counted = labels[:, 1:] != _IGNORED
    divergence = tail_aware_kl(logits[:, :-1], TeacherLogits(*(part[:, :-1] for part in teacher)), temperature)
    total = (divergence * counted).sum() / (counted.sum().clamp(min=1) if items is None else items)
    return alpha * cross_entropy(logits, labels, items) + (1 - alpha) * temperature**2 * total
