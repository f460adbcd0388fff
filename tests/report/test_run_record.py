"""A record goes through unchanged, and what does not fit is named."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.samples import demo, published, record, stage

from joulemark.report import RecordError, RunRecord

numbers = st.floats(0, 1e12, allow_nan=False)
stages = st.builds(
    stage,
    st.sampled_from(["teacher", "student", "export"]),
    numbers,
    phase=st.text(max_size=8),
    power_integral_joules=st.none() | numbers,
    tokens=st.dictionaries(st.sampled_from(["prompt", "cached"]), st.integers(0, 2**62)),
)


@given(st.lists(stages, max_size=4), st.text(max_size=20), st.none() | st.integers(-5, 2**40))
def test_round_trip(found: list[dict[str, Any]], run: str, seed: int | None) -> None:
    data = record(run, found, seed=seed, labels={"a": "b"}, idle_watts={"cpu0": 3.5})
    parsed = RunRecord.from_json(json.loads(json.dumps(data)))
    assert parsed.to_json() == data
    assert RunRecord.from_json(parsed.to_json()) == parsed


def test_the_demo_and_the_paper_round_trip() -> None:
    for data in (*demo().values(), published("kd-1b")):
        assert RunRecord.from_json(data).to_json() == data


def test_a_record_is_frozen_and_ignores_what_a_newer_exporter_adds() -> None:
    parsed = RunRecord.from_json({**demo()["kd-1"], "carbon": 1})
    assert parsed.run == "kd-1"
    with pytest.raises(FrozenInstanceError):
        parsed.run = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("origin",), "guessed", "origin is 'guessed', not one of measured, modelled, published"),
        (("joules",), None, "joules is missing"),
        (("joules",), float("nan"), "joules is nan, not a finite number"),
        (("joules",), True, "joules is True"),
        (("stages",), "none", "stages is 'none', not a list"),
        (("stages", 0), 7, r"stages\[0\] is 7, not an object"),
        (("stages", 0, "seconds"), "1", r"stages\[0\]: seconds is '1', not a finite number"),
        (("stages", 0, "tokens", "cached"), -1, r"stages\[0\]: tokens\[cached\] is -1, not a whole number from 0 on"),
        (("stages", 0, "tokens"), [], "tokens is .*not an object"),
        (("stages", 0, "phase"), None, "phase is missing, not text"),
        (("artifacts", 0, "role"), "lent", "role is 'lent', not one of produced, consumed"),
        (("labels",), {"a": 1}, r"labels\[a\] is 1, not text"),
        (("seed",), 1.5, "seed is 1.5, not a whole number"),
    ],
)
def test_what_does_not_fit_is_named(path: tuple[Any, ...], value: object, named: str) -> None:
    data = deepcopy(demo()["kd-1"])
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(RecordError, match=named) as caught:
        RunRecord.from_json(data)
    assert "kd-1" in str(caught.value)


def test_something_else_altogether_is_refused() -> None:
    with pytest.raises(RecordError, match="not an object"):
        RunRecord.from_json([])
