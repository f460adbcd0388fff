"""What Grafana would draw, by its own code, against numbers that are known: the published tables and the live runs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from answers import ask, last_hour
from board_files import boards, panels
from demo_ledger import RUNS, total_joules
from grafana_code import Drawn, draw
from prometheus_process import backfilled
from scene import GPU_RUN, GRAMS, LIVE_RUN, PRICE, PUE, REUSE_RUN, Scene

pytestmark = pytest.mark.prometheus
BOARDS = boards()
PARETO = "Which runs does no other beat in energy and quality?"
VERDICTS = "After how many reuses, and how many served tokens, does distilling pay?"
FIGURES = "What are the figures behind the points?"
ELSEWHERE = "What would it emit and cost elsewhere?"
TABLE = "What did each run cost, how good is it, and is that measured?"
# Watt-hours and Q as printed.
PUBLISHED = {
    "PUBLISHED, on the frontier": {
        "paper-sft-1b": (7000.0, 0.69),
        "paper-sft-7b": (19500.0, 0.90),
        "paper-sft-13b": (34600.0, 0.99),
        "paper-kd-1b": (16900.0, 0.70),
    },
    "PUBLISHED, dominated": {"paper-kd-13b": (42500.0, 0.82), "paper-synthetic-sft-13b": (40700.0, 0.85)},
}
STAGES = {
    "paper-sft-1b": {"data": 370, "student": 6300, "eval": 330},
    "paper-sft-7b": {"end_to_end": 19500},
    "paper-sft-13b": {"data": 370, "student": 33150, "eval": 1080},
    "paper-kd-1b": {"data": 370, "teacher": 11000, "student": 5200, "eval": 330},
    "paper-kd-13b": {"data": 370, "teacher": 11000, "student": 30050, "eval": 1080},
    "paper-synthetic-sft-1b": {"data": 370, "teacher": 10600, "student": 5350, "eval": 330},
    "paper-synthetic-sft-13b": {"data": 370, "teacher": 10600, "student": 28650, "eval": 1080},
}
REUSES = {
    ("kd", "OLMo-2-1B"): (11.00 / (6.30 - 5.20), "break-even after 10 reuses"),
    ("kd", "OLMo-2-13B"): (11.00 / (33.15 - 30.05), "break-even after 3.5 reuses"),
    ("synthetic_sft", "OLMo-2-1B"): (10.60 / (6.30 - 5.35), "break-even after 11.2 reuses"),
    ("synthetic_sft", "OLMo-2-13B"): (10.60 / (33.15 - 28.65), "break-even after 2.4 reuses"),
}


@pytest.fixture(scope="module")
def drawn(scene: Scene) -> dict[str, Drawn]:
    """Every board, and the board Run once for each of three runs."""
    wanted: list[tuple[str, str, dict[str, str]]] = [(name, name, {}) for name in BOARDS if name != "run"]
    wanted += [(run, "run", {"run": run}) for run in (LIVE_RUN, GPU_RUN, "paper-kd-1b")]
    answers = [ask(scene.prometheus.http, name, BOARDS[name], scene.shown, **chosen) for _, name, chosen in wanted]
    return dict(zip((key for key, _, _ in wanted), draw(answers), strict=True))


def test_the_frontier_has_every_published_run_where_the_paper_has_it(drawn: dict[str, Drawn]) -> None:
    points = drawn["worth_it"].points[PARETO]
    for name, runs in PUBLISHED.items():
        assert set(points[name]) == set(runs)
        for run, place in runs.items():
            assert points[name][run] == pytest.approx(place, rel=1e-12), run
    demo = {run for name, runs in points.items() if name.startswith("MODELLED") for run in runs}
    assert demo == {*RUNS, LIVE_RUN}
    assert set(points["on the frontier"]) == {GPU_RUN}, "measured runs stand by themselves"
    assert points["not judged: joulemark frontier is not scraped"] == {}


def test_the_breakdown_is_what_the_paper_prints(drawn: dict[str, Drawn]) -> None:
    for title in ("Where did each run's energy go?", "Which share went to which stage?"):
        frame = drawn["pipelines"].only(title)
        rows = dict(frame.rows("run"))
        for run, stages in STAGES.items():
            row = rows[f"{run} PUBLISHED"]
            found = {stage: value for stage, value in row.items() if value is not None and stage != "run"}
            assert found == pytest.approx(stages, rel=1e-12), run
        assert f"{LIVE_RUN} MODELLED" in rows
        assert GPU_RUN in rows, "a measurement needs no mark"
        order = [field.title for field in frame.fields]
        assert order[:6] == ["run", "prerun", "data", "teacher", "student", "eval"], "as a pipeline runs"


def figures(board: Drawn, title: str) -> dict[str, float]:
    """The big figures of a panel by their names."""
    fields = [field for frame in board.frames[title] for field in frame.fields if field.type != "time"]
    return {field.title: field.values[-1] for field in fields}


def figure(board: Drawn, title: str) -> float:
    """The one figure of a panel."""
    [value] = figures(board, title).values()
    return value


def test_totals_are_told_apart_by_where_they_come_from(drawn: dict[str, Drawn]) -> None:
    published = {run: sum(stages.values()) for run, stages in STAGES.items()}
    energy = figures(drawn["pipelines"], "How much energy until now?")
    assert set(energy) == {"MODELLED", "PUBLISHED", "measured"}
    assert energy["PUBLISHED"] == pytest.approx(sum(published.values()), rel=1e-12)
    taught = sum(stages.get("teacher", 0) for stages in STAGES.values())
    share = figures(drawn["pipelines"], "Which share of the energy is teacher-side?")
    assert share["PUBLISHED"] == pytest.approx(taught / sum(published.values()), rel=1e-12)


def test_break_even_is_the_paper_s_in_numbers_and_in_words(drawn: dict[str, Drawn]) -> None:
    frame = drawn["worth_it"].only(VERDICTS)
    found = {
        (row["pipeline"], row["student"]): (row["N*"], row["reuse of the teacher's output"])
        for _, row in frame.rows("pipeline")
        if row["origin"] == "published" and row["N*"] is not None
    }
    assert set(found) == set(REUSES)
    for cell, (number, sentence) in REUSES.items():
        assert found[cell][0] == pytest.approx(number, rel=1e-12)
        assert found[cell][1] == sentence
    texts = frame.field("N*").texts
    assert {"10.00", "3.55", "11.16", "2.36"} <= set(texts)
    words = frame.field("reuse of the teacher's output").texts
    assert "nothing to reuse: no teacher energy" in words, "reasons are sentences"
    demo = next(row for _, row in frame.rows("pipeline") if (row["pipeline"], row["origin"]) == ("kd", "modelled"))
    assert demo["serving"].startswith("break-even after ") or demo["serving"] == "no_baseline"


def test_the_amortisation_curve_meets_the_baseline_at_n_star(drawn: dict[str, Drawn]) -> None:
    frame = drawn["worth_it"].only("From how many students on is a shared teacher paid for?")
    by_students = dict(frame.rows("students"))
    assert list(by_students) == [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20], "ascending, as the panel needs them"
    assert by_students[10]["paper-kd-1b PUBLISHED"] == pytest.approx(1.0, rel=1e-12)
    for run, (base, teacher, student) in {
        "paper-kd-13b": (33.15, 11.00, 30.05),
        "paper-synthetic-sft-1b": (6.30, 10.60, 5.35),
    }.items():
        for students, row in by_students.items():
            assert row[f"{run} PUBLISHED"] == pytest.approx((student + teacher / students) / base, rel=1e-12)


def test_the_table_of_runs_has_each_figure_and_its_origin(drawn: dict[str, Drawn]) -> None:
    frame = drawn["pipelines"].only(TABLE)
    rows = dict(frame.rows("run"))
    assert [field.title for field in frame.fields][:5] == ["run", "pipeline", "student", "data set", "origin"]
    assert rows["paper-kd-1b"]["J/token"] == pytest.approx(16.90 * 3.6e6 / 30e6, rel=1e-12)
    assert rows["paper-kd-1b"]["CO2e"] == pytest.approx(16.90 * PUE * GRAMS, rel=1e-9)
    assert (rows["paper-kd-1b"]["cost"], rows["paper-kd-1b"]["currency"]) == (pytest.approx(16.90 * PUE * PRICE), "EUR")
    assert rows["demo-kd-1"]["energy"] == pytest.approx(total_joules("demo-kd-1") / 3600, rel=1e-12)
    assert rows["demo-kd-1"]["±"] is None, "imported energy has no bound"
    marks = dict(zip(frame.field("run").values, frame.field("origin").texts, strict=True))
    assert marks["paper-kd-1b"] == "PUBLISHED"
    assert marks["demo-kd-1"] == marks[LIVE_RUN] == "MODELLED"
    assert "–" in frame.field("±").texts
    assert not any("No run yet" in text for field in frame.fields for text in field.texts)


def told_by_stage(scene: Scene) -> dict[tuple[str, str], dict[str, float]]:
    """What the exporter says of the live run, by stage and phase."""
    record = scene.replay.http.get(f"/api/v1/runs/{LIVE_RUN}").json()
    return {(stage["stage"], stage["phase"]): stage for stage in record["stages"]}


def test_a_bound_is_that_of_the_energy_beside_it_in_every_accounting(scene: Scene) -> None:
    teacher = told_by_stage(scene)["teacher", "logit_caching"]
    own = scene.demo.http.get(f"/api/v1/runs/{REUSE_RUN}").json()
    assert teacher["uncertainty_joules"] > 0
    shares = {"as_run": 0.0, "one_off": 1.0, "amortized": 0.5}
    tables = [("pipelines", TABLE), ("worth_it", FIGURES), ("worth_it", ELSEWHERE)]
    for board, title in tables:
        answers = [ask(scene.prometheus.http, board, BOARDS[board], scene.shown, accounting=one) for one in shares]
        for one, share in zip(draw(answers), shares.values(), strict=True):
            row = dict(one.only(title).rows("run"))[REUSE_RUN]
            for column, figure in (("energy", "joules"), ("±", "uncertainty_joules")):
                assert row[column] == pytest.approx((own[figure] + share * teacher[figure]) / 3600, rel=1e-9), title


def test_the_figures_behind_the_bars_are_the_bars_with_their_bounds(drawn: dict[str, Drawn], scene: Scene) -> None:
    bars = dict(drawn["pipelines"].only("Where did each run's energy go?").rows("run"))
    table = drawn["pipelines"].only("What are the figures behind the bars, and how sure are they?")
    rows = {(run, row["stage"]): row for run, row in table.rows("run")}
    assert {place: row["energy"] for place, row in rows.items()} == {
        (run, stage): value for run, row in bars.items() for stage, value in row.items() if stage != "run" and value
    }
    teacher = told_by_stage(scene)["teacher", "logit_caching"]
    assert rows[f"{LIVE_RUN} MODELLED", "teacher"]["±"] == pytest.approx(teacher["uncertainty_joules"] / 3600, rel=1e-9)
    assert rows["paper-kd-1b PUBLISHED", "teacher"]["±"] is None


def test_footprint_and_what_if_are_the_same_factors(drawn: dict[str, Drawn], scene: Scene) -> None:
    rows = dict(drawn["worth_it"].only(ELSEWHERE).rows("run"))
    assert rows["paper-sft-1b"]["CO2e"] == pytest.approx(7.00 * PUE * GRAMS, rel=1e-9)
    chosen = {"pue": "1.5", "zone": "56", "price": "0.2"}
    answers = ask(scene.prometheus.http, "worth_it", BOARDS["worth_it"], scene.shown, **chosen)
    elsewhere = dict(draw([answers])[0].only(ELSEWHERE).rows("run"))
    assert elsewhere["paper-sft-1b"]["CO2e"] == pytest.approx(7.00 * 1.5 * 56, rel=1e-9)
    assert elsewhere["paper-sft-1b"]["cost"] == pytest.approx(7.00 * 1.5 * 0.2, rel=1e-9)


def test_the_run_in_depth_says_what_its_exporter_says(drawn: dict[str, Drawn], scene: Scene) -> None:
    board = drawn[LIVE_RUN]
    told = told_by_stage(scene)
    rows = dict(board.only("What did each stage use, and how sure is that?").rows("stage"))
    phases = {(row["stage"], row["phase"] or ""): row for _, row in board.only("And each phase?").rows("stage")}
    assert set(phases) == set(told)
    for place in set(told) - {("student", "kd")}:
        for row in (rows[place[0]], phases[place]):
            assert row["joules"] == pytest.approx(told[place]["joules"], rel=1e-9)
            assert row["± joules"] == pytest.approx(told[place]["uncertainty_joules"], rel=1e-9)
    estimators = dict(board.only("Do the two estimators agree?").rows("stage"))
    assert {stage: row["± joules"] for stage, row in estimators.items()} == {
        stage: rows[stage]["± joules"] for stage in estimators
    }
    artifacts = dict(board.only("Which teacher output did it produce and consume?").rows("artifact"))
    teacher = told["teacher", "logit_caching"]
    assert artifacts["replay-logits"]["±"] == pytest.approx(teacher["uncertainty_joules"] / 3600, rel=1e-9)
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1.0, rel=1e-9)
    assert rows["teacher"]["tokens"] == 5000
    hardware = board.only("On what hardware, and by which source?")
    assert set(hardware.field("source").texts) == {"replay: MODELLED, a script"}


def test_the_head_of_a_run_has_the_published_figures(drawn: dict[str, Drawn]) -> None:
    board = drawn["paper-kd-1b"]
    assert figure(board, "How much energy?") == pytest.approx(sum(STAGES["paper-kd-1b"].values()), rel=1e-12)
    assert figure(board, "J per trained token?") == pytest.approx(16.90 * 3.6e6 / 30e6, rel=1e-12)
    assert figure(board, "Quality Q?") == pytest.approx(0.70, rel=1e-12)
    assert figure(board, "How much CO2e?") == pytest.approx(16.90 * PUE * GRAMS, rel=1e-9)
    phases = board.only("And each phase?")
    assert "± joules" not in phases, "no bound is known"
    assert sum(phases.field("joules").values) == pytest.approx(16.90 * 3.6e6, rel=1e-12)


def test_the_meter_s_health_is_what_its_exporters_say(drawn: dict[str, Drawn], scene: Scene) -> None:
    board = drawn["meter_health"]
    read = board.only("What is read, from where, and how well?")
    ticks = dict(zip(read.field("model").values, read.field("counter tick").values, strict=True))
    assert ticks["Mock GPU"] == pytest.approx(0.1, rel=0.05)
    assert set(read.field("read").texts) == {"yes"}
    assert figure(board, "Devices that are read?") == read.length
    assert figure(board, "Exporters that do not answer?") == 0
    assert figure(board, "Devices that cannot be read?") == 0
    assert figure(board, "Joules that do not add up?") == pytest.approx(0.0, abs=1e-6)
    gap = sum(value for name, value in scene.gpus.metrics().items() if name.startswith("joulemark_read_gap_seconds"))
    assert figure(board, "Time without a reading?") == pytest.approx(gap, rel=0.5)
    ledgers = board.only("Is each ledger safely on disk?")
    assert ledgers.length == 4
    assert set(ledgers.field("on disk").texts) == {"yes"}
    assert set(ledgers.field("failed commits").values) == {0}


def test_a_nested_evaluation_shows_as_a_break_of_the_training(drawn: dict[str, Drawn]) -> None:
    lines = [frame for frame in drawn[LIVE_RUN].frames["Which stage and phase ran when?"] if frame.length]
    frames = {frame.fields[1].title.strip(): frame for frame in lines}
    assert list(frames) == ["prerun", "data", "teacher logit_caching", "student kd", "eval gsm8k"], "as they ran"

    def running(line: str) -> set[float]:
        time, state = frames[line].fields
        return {at for at, value in zip(time.values, state.values, strict=True) if value == 1}

    training, evaluation = running("student kd"), running("eval gsm8k")
    assert evaluation
    assert not training & evaluation, "the outer stage is suspended"
    assert min(training) < min(evaluation) < max(evaluation) < max(training)
    assert set(frames["eval gsm8k"].fields[1].colours) <= {"#009E73", "#00000000"}


def test_annotations_mark_stages_where_they_began_and_gaps_while_they_last(
    drawn: dict[str, Drawn], scene: Scene
) -> None:
    windows = scene.replay.http.get("/api/v1/windows").json()
    began = {w["stage"]: w["started_at"] for w in windows if w["run"] == LIVE_RUN and not w.get("nested")}
    events = {event["title"]: event for event in drawn[LIVE_RUN].events["Stage begins"]}
    assert events["student kd"]["time"] / 1000 == pytest.approx(began["student"], abs=0.01)
    assert {title.strip() for title in events} == {
        "prerun",
        "data",
        "teacher logit_caching",
        "student kd",
        "eval gsm8k",
    }
    gaps = drawn[GPU_RUN].events["Gap in reading"]
    assert {event["title"] for event in gaps} == {"gpu1 was not read"}
    assert drawn[LIVE_RUN].events["Gap in reading"] == []


def test_a_fresh_stack_shows_nothing_and_says_what_would_fill_it(tmp_path: Path) -> None:
    with backfilled(tmp_path / "fresh", "") as url, httpx.Client(base_url=url, trust_env=False) as http:
        answers = [ask(http, name, board, last_hour()) for name, board in BOARDS.items()]
    for one, board in zip(draw(answers), BOARDS.values(), strict=True):
        for panel in panels(board):
            shown = [f for frame in one.frames[panel["title"]] for f in frame.fields if f.type != "time" and f.values]
            assert shown == [], panel["title"]
