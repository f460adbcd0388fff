"""The tail as one more class: its gradient is never further from the whole vocabulary's than that of other ways."""

from __future__ import annotations

import torch
from benchmarks.logit_cache_error import WAYS, cached, errors, full_kl, tail_class
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import VOCABULARY, tiny_model

# Log-probabilities are kept in 16 bits: 2^-11 of up to 32 nats, times a mass of one.
_ROUNDING = 0.02


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([1, 4, 16, 64]), st.floats(0.1, 6), st.floats(0.1, 6))
def test_the_tail_class_is_never_worse(seed: int, top_k: int, teacher_scale: float, student_scale: float) -> None:
    seeded = torch.Generator().manual_seed(seed)
    teacher, student = (
        scale * torch.randn(16, VOCABULARY, generator=seeded) for scale in (teacher_scale, student_scale)
    )
    found = errors(teacher, student, top_k)
    for way in WAYS[1:]:
        assert (found["tail class"].gradient <= found[way].gradient + _ROUNDING).all(), way


def test_of_two_models_the_error_falls_with_k_and_the_other_ways_are_further_off() -> None:
    ids = torch.randint(0, VOCABULARY, (2, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        teacher, student = (20 * tiny_model(3, seed)(input_ids=ids).logits.flatten(0, 1) for seed in (0, 1))
    means = [float(errors(teacher, student, k)["tail class"].gradient.mean()) for k in (1, 4, 16, 64)]
    assert means == sorted(means, reverse=True)
    found = errors(teacher, student, 4)
    assert found["tail class"].gradient.mean() < 0.9 * found["renormalised"].gradient.mean()
    assert found["tail class"].gradient.mean() < found["dropped"].gradient.mean()


def test_with_every_class_kept_it_is_the_whole_divergence() -> None:
    seeded = torch.Generator().manual_seed(3)
    teacher, student = (2 * torch.randn(8, VOCABULARY, generator=seeded) for _ in range(2))
    whole = tail_class(student, cached(teacher, VOCABULARY))
    assert torch.allclose(whole.double(), full_kl(student, teacher), atol=_ROUNDING)
