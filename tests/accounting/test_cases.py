"""Cases made by hand: who pays for a shared teacher, and what is absent for which reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.samples import record, stage

from joulemark.accounting import Spread, artifacts_of, cells_of, figures_of, joined
from joulemark.run_record import RunRecord

MADE = {"artifact": "logits", "kind": "logit_cache", "role": "produced"}
USED = {**MADE, "role": "consumed"}


def runs(*records: dict[str, Any]) -> dict[str, RunRecord]:
    return {one["run"]: RunRecord.from_json(one) for one in records}


def distilled(name: str, joules: float, made: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A kd run that used the shared logits, and made them where `made` joules say so."""
    stages = [stage("student", joules, tokens={"trained": 1000})]
    stages += [stage("teacher", made, phase="logit_caching")] if made else []
    artifacts = [MADE, USED] if made else [USED]
    facts = {"pipeline": "kd", "student": "s", "dataset": "d", "teacher": "t", "artifacts": artifacts}
    return record(name, stages, **{**facts, **fields})


def baseline(name: str = "sft", joules: float = 150.0, **fields: Any) -> dict[str, Any]:
    return record(name, [stage("student", joules)], **{"pipeline": "sft", "student": "s", "dataset": "d", **fields})


def unsplit() -> dict[str, Any]:
    """A baseline of which only the whole is known."""
    return {**baseline(), "stages": [stage("end_to_end", 150.0)]}


@pytest.mark.parametrize("students", [1, 2, 11])
def test_reuse_by_so_many_students(students: int) -> None:
    made = distilled("kd-0", 100.0, made=440.0)
    found = figures_of(runs(baseline(), made, *(distilled(f"kd-{n}", 100.0) for n in range(1, students))))
    for name in (f"kd-{n}" for n in range(students)):
        bill = found[name].bill
        assert bill.one_off == 540.0
        assert bill.amortized == 100.0 + 440.0 / students
        assert bill.teacher_joules == 440.0
        assert bill.as_run == (540.0 if name == "kd-0" else 100.0)
        # N* asks how many students it takes, not how many there are.
        assert found[name].reuses.value == 440.0 / 50.0
    amortized = found["kd-0"].bill.amortized
    assert amortized is not None
    assert (amortized < 150.0) == (students >= 440.0 / 50.0)


def test_a_sweep_shares_a_teacher_run_that_trains_nothing() -> None:
    teacher = record("teacher", [stage("teacher", 300.0)], artifacts=[MADE])
    alphas = ("0.3", "0.5", "0.8")
    sweep = [distilled(f"alpha-{alpha}", 80.0 + n, labels={"alpha": alpha}) for n, alpha in enumerate(alphas)]
    found = figures_of(runs(teacher, *sweep))
    assert found["teacher"].bill.as_run == found["teacher"].bill.one_off == 300.0
    assert found["teacher"].bill.amortized == 0.0, "those who used it pay for it"
    assert [found[f"alpha-{a}"].bill.amortized for a in alphas] == [180.0, 181.0, 182.0]
    assert found["alpha-0.8"].bill.one_off == 382.0


def test_a_teacher_run_that_nobody_uses_pays_for_itself() -> None:
    found = figures_of(runs(record("teacher", [stage("teacher", 300.0)], artifacts=[MADE])))
    assert found["teacher"].bill.amortized == 300.0
    assert found["teacher"].reuses.reason == "no_student"


def test_two_outputs_of_one_teacher_stage_share_its_energy() -> None:
    other = {**MADE, "artifact": "texts"}
    made = record("teacher", [stage("teacher", 300.0)], artifacts=[MADE, other])
    both = distilled("both", 10.0, artifacts=[USED, {**USED, "artifact": "texts"}])
    found = figures_of(runs(made, both, distilled("one", 10.0)))
    assert found["both"].bill.one_off == 310.0
    assert found["one"].bill.one_off == 160.0
    assert found["both"].bill.amortized == 10.0 + 75.0 + 150.0
    assert found["one"].bill.amortized == 85.0


def test_what_was_made_twice_costs_what_making_it_once_costs() -> None:
    found = figures_of(runs(distilled("a", 10.0, made=100.0), distilled("b", 10.0, made=200.0), distilled("c", 10.0)))
    assert found["c"].bill.one_off == 160.0
    assert artifacts_of(runs(distilled("a", 1.0)).values())["logits"].joules is None


def test_an_artifact_that_no_known_run_made_leaves_the_accountings_absent() -> None:
    found = figures_of(runs(baseline(), distilled("kd", 100.0)))["kd"]
    assert (found.bill.as_run, found.bill.one_off, found.bill.amortized) == (100.0, None, None)
    assert (found.reuses.reason, found.served_tokens.reason) == ("unknown_artifact", "unknown_artifact")


@given(
    st.lists(st.tuples(st.floats(1, 1e6), st.floats(1, 1e6), st.integers(0, 6)), min_size=1, max_size=6),
    st.lists(st.sets(st.integers(0, 5)), max_size=6),
)
def test_amortized_energies_add_up_to_what_was_burnt(
    makers: list[tuple[float, float, int]], users: list[set[int]]
) -> None:
    def artifact(number: int, role: str) -> dict[str, str]:
        return {"artifact": f"a{number}", "kind": "texts", "role": role}

    made = [
        record(
            f"m{n}",
            [stage("teacher", teacher), stage("student", student)],
            artifacts=[artifact(n, "produced"), *([artifact(n, "consumed")] if own % 2 else [])],
        )
        for n, (teacher, student, own) in enumerate(makers)
    ]
    used = [
        record(
            f"u{n}", [stage("student", 7.0)], artifacts=[artifact(x % len(makers), "consumed") for x in sorted(wanted)]
        )
        for n, wanted in enumerate(users)
    ]
    for one in used:
        one["artifacts"] = [dict(pair) for pair in {tuple(a.items()) for a in one["artifacts"]}]
    found = figures_of(runs(*made, *used))
    burnt = sum(figures.bill.as_run for figures in found.values())
    assert sum(figures.bill.amortized or 0.0 for figures in found.values()) == pytest.approx(burnt, rel=1e-9)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([distilled("kd", 100.0, made=50.0)], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0), baseline(dataset="other")], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0), baseline(origin="modelled")], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0, student=None), baseline()], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0, baseline="kd"), baseline()], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0, baseline="gone"), baseline()], "no_baseline"),
        ([distilled("kd", 100.0, made=50.0), unsplit()], "no_baseline"),
        ([distilled("kd", 150.0, made=50.0), baseline()], "not_cheaper"),
        ([distilled("kd", 151.0, made=50.0), baseline()], "not_cheaper"),
        ([distilled("kd", 100.0, artifacts=[]), baseline()], "no_teacher"),
        ([record("kd", [stage("teacher", 5.0)], pipeline="kd", student="s", dataset="d"), baseline()], "no_student"),
    ],
)  # fmt: skip
def test_no_breakeven_and_why(records: list[dict[str, Any]], reason: str) -> None:
    found = figures_of(runs(*records))["kd"].reuses
    assert (found.value, found.reason) == (None, reason)


def test_a_declared_baseline_goes_before_one_that_fits() -> None:
    known = runs(distilled("kd", 100.0, made=50.0, baseline="mine"), baseline(), baseline("mine", 110.0, dataset="x"))
    assert figures_of(known)["kd"].reuses.value == 5.0


def test_baselines_that_differ_in_seed_are_averaged() -> None:
    known = runs(distilled("kd", 100.0, made=50.0), baseline("sft-1", 120.0, seed=1), baseline("sft-2", 130.0, seed=2))
    found = figures_of(known)["kd"]
    assert found.baselines == ("sft-1", "sft-2")
    assert found.baseline_student_joules == 125.0
    assert found.reuses.value == 2.0


def served(name: str, joules: float, tokens: int, **fields: Any) -> dict[str, Any]:
    return stage(name, joules, phase="serving", tokens={"generated": tokens, "prompt": 7}) | fields


def with_serving(one: dict[str, Any], joules: float, tokens: int) -> dict[str, Any]:
    stages = [*one["stages"], served("eval", joules, tokens)]
    return {**one, "stages": stages, "joules": one["joules"] + joules}


def test_served_tokens_until_the_extra_energy_is_won_back() -> None:
    student = with_serving(distilled("kd", 100.0, made=90.0), 20.0, 100)
    teacher = record("reference", [served("eval", 500.0, 250)], student="t")
    found = figures_of(runs(student, baseline(), teacher))["kd"]
    assert (found.serving_joules_per_token, found.reference_joules_per_token) == (0.2, 2.0)
    assert found.served_tokens.value == pytest.approx((210.0 - 150.0) / 1.8, rel=1e-12)


def test_the_reference_may_be_declared_as_a_run_or_a_model() -> None:
    student = with_serving(distilled("kd", 100.0, made=90.0, reference="fast"), 20.0, 100)
    fast = record("fast", [served("eval", 100.0, 100)], student="other")
    teacher = record("reference", [served("eval", 500.0, 250)], student="t")
    assert figures_of(runs(student, baseline(), fast, teacher))["kd"].reference_joules_per_token == 1.0
    by_model = {**fast, "run": "elsewhere", "student": "fast"}
    more = {**by_model, "run": "again", "stages": [served("eval", 50.0, 300)]}
    assert figures_of(runs(student, baseline(), by_model, more))["kd"].reference_joules_per_token == 150 / 400


@pytest.mark.parametrize(
    ("student", "reference", "reason"),
    [
        (distilled("kd", 100.0, made=90.0), None, "no_serving"),
        (with_serving(distilled("kd", 100.0, made=90.0), 5.0, 0), None, "no_serving"),
        (with_serving(distilled("kd", 100.0, made=90.0), 5.0, 100), None, "no_reference"),
        (with_serving(distilled("kd", 100.0, made=90.0), 5.0, 100), 0.05, "not_cheaper"),
        (with_serving(distilled("kd", 10.0, made=90.0), 5.0, 100), 9.0, "no_extra_energy"),
        (with_serving(distilled("kd", 10.0, made=90.0, dataset="x"), 5.0, 100), 9.0, "no_baseline"),
    ],
)
def test_no_served_tokens_and_why(student: dict[str, Any], reference: float | None, reason: str) -> None:
    known = [student, baseline()]
    known += [] if reference is None else [record("r", [served("eval", reference * 100, 100)], student="t")]
    found = figures_of(runs(*known))["kd"].served_tokens
    assert (found.value, found.reason) == (None, reason)


def test_zero_tokens_give_no_figure() -> None:
    none = record("kd", [stage("student", 100.0, tokens={"trained": 0})], pipeline="kd")
    found = figures_of(runs(none))["kd"]
    assert (found.joules_per_token, found.throughput, found.trained_tokens) == (None, None, 0)


def scores(*rows: tuple[str, float, float | None]) -> list[dict[str, Any]]:
    return [{"benchmark": name, "score": score, "reference": reference, "n": 10} for name, score, reference in rows]


def test_a_missing_benchmark_is_left_out_and_named() -> None:
    full = record("full", [stage("eval", 1.0)], teacher="t", scores=scores(("a", 0.3, 0.6), ("b", 0.9, 0.9)))
    part = record("part", [stage("eval", 1.0)], teacher="t", scores=scores(("a", 0.3, None), ("c", 0.5, None)))
    none = record("none", [stage("eval", 1.0)], teacher="t")
    found = {name: figures.quality for name, figures in figures_of(runs(full, part, none)).items()}
    assert (found["full"].value, found["full"].used, found["full"].missing) == (0.75, ("a", "b"), ())
    assert (found["part"].value, found["part"].used, found["part"].missing) == (0.5, ("a",), ("b", "c"))
    assert (found["none"].value, found["none"].used) == (None, ())


def test_references_are_each_teachers_own_and_the_latest_counts() -> None:
    old = record("old", [], teacher="t", scores=scores(("a", 0.3, 0.6)), last_active_at=1.0)
    new = record("new", [], teacher="t", scores=scores(("a", 0.3, 0.5)), last_active_at=2.0)
    asks = record("asks", [], teacher="t", scores=scores(("a", 0.25, None)))
    other = record("other", [], teacher="u", scores=scores(("a", 0.25, None)))
    found = figures_of(runs(new, old, asks, other))
    assert found["asks"].quality.value == 0.5
    assert found["old"].quality.value == 0.5, "its own reference goes first"
    assert found["other"].quality.value is None


def test_net_of_idle_is_by_device_and_absent_when_one_is_not_known() -> None:
    both = stage("student", 100.0, seconds=4.0, joules_by_device={"gpu0": 70.0, "cpu0": 30.0})
    one = stage("eval", 10.0, seconds=2.0, joules_by_device={"gpu0": 10.0})
    idle = {"gpu0": 5.0, "cpu0": 2.0}
    found = figures_of(
        runs(record("a", [both, one], idle_watts=idle), record("b", [both, one], idle_watts={"gpu0": 5.0}))
    )
    assert found["a"].net_joules == 110.0 - 4 * 7.0 - 2 * 5.0
    assert found["b"].net_joules is None


def test_a_run_of_several_nodes_is_one_run() -> None:
    def node(joules: float, seconds: float, tokens: int) -> RunRecord:
        trained = stage(
            "student", joules, seconds=seconds, tokens={"trained": tokens}, joules_by_device={"gpu0": joules}
        )
        return RunRecord.from_json(record("kd", [trained], seconds=seconds, idle_watts={"gpu0": 1.0}, student="s"))

    (found,) = joined([("n1", node(100.0, 10.0, 300)), ("n2", node(140.0, 12.0, 300))]).values()
    figures = figures_of({"kd": found})["kd"]
    assert (found.joules, found.seconds, found.uncertainty_joules) == (240.0, 12.0, 0.5)
    assert figures.joules_per_token == 240.0 / 600
    assert figures.throughput == 600 / 12.0
    assert figures.net_joules == 240.0 - 22.0
    assert {d for s in found.stages for d in s.joules_by_device} == {"n1/gpu0", "n2/gpu0"}


def test_one_node_keeps_its_device_names() -> None:
    alone = RunRecord.from_json(distilled("kd", 1.0))
    assert joined([("n1", alone)]) == {"kd": alone}


def test_seeds_are_repeats_and_anything_else_is_not() -> None:
    same = [distilled(f"s{n}", 100.0 + 10 * n, seed=n) for n in range(3)]
    other = distilled("hot", 100.0, labels={"temperature": "4"})
    cells = list(cells_of(runs(*same, other, record("bare", []), record("also", []))).values())
    assert sorted(map(sorted, cells)) == [["also"], ["bare"], ["hot"], ["s0", "s1", "s2"]]


def test_spread_is_the_sample_deviation_and_one_run_has_none() -> None:
    assert Spread.of([1.0, None, 3.0]) == Spread(2.0, 2**0.5, 2)
    assert Spread.of([5.0]) == Spread(5.0, None, 1)
    assert Spread.of([None]) == Spread(None, None, 0)
