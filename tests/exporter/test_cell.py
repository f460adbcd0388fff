"""Which runs are repeats of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from joulemark.cell import cell_of

KD: dict[str, object] = {"pipeline": "kd", "student": "S", "teacher": "T", "dataset": "D", "labels": {"alpha": "0.5"}}


def test_runs_that_differ_in_seed_baseline_or_idle_power_are_one_cell() -> None:
    other = {**KD, "seed": 8, "baseline": "sft-2", "reference": "r", "idle_watts": {"gpu0": 50.0}}
    assert cell_of(KD) == cell_of(other) == "kd | S | T | D | alpha=0.5"


def test_runs_that_say_too_little_are_no_repeats() -> None:
    assert cell_of({}) is None
    assert cell_of({"pipeline": "kd"}) is None
    assert cell_of({"student": "S"}) is None


names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=256)


@given(st.dictionaries(st.sampled_from(["student", "teacher", "dataset"]), names), st.dictionaries(names, names))
def test_a_cell_is_bounded_and_tells_runs_apart_however_long_their_facts(
    facts: dict[str, object], labels: dict[str, object]
) -> None:
    declared = {**KD, **facts, "labels": labels}
    cell = cell_of(declared)
    assert cell is not None
    assert len(cell) <= 128
    for field in ("student", "teacher", "dataset"):
        assert cell_of({**declared, field: f"{declared[field]}x"}) != cell
    assert cell_of({**declared, "labels": {**labels, "~one more": "1"}}) != cell
