"""Every query of every board has what its panel needs, on a real Prometheus, or is known to be empty and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from answers import Answers, ask
from board_files import boards, defaults, queries, substituted
from feeds import EMPTY, ONE_RUN, RUNS
from scene import Scene

pytestmark = pytest.mark.prometheus
BOARDS = boards()
FEEDS = [(name, feed) for name in BOARDS if name != "meter_health" for feed in RUNS]


def empty(answers: Answers) -> set[tuple[str, str]]:
    return {place for place, data in answers.data.items() if not data["result"]}


@pytest.mark.parametrize(("name", "feed"), FEEDS)
def test_every_query_has_an_answer_or_a_reason(scene: Scene, name: str, feed: str) -> None:
    run = (ONE_RUN if name == "run" else RUNS)[feed]
    answers = ask(scene.prometheus.http, name, BOARDS[name], scene.shown, run=run)
    assert empty(answers) == set(EMPTY[name, feed])


def test_meter_health_has_all_answers(scene: Scene) -> None:
    answers = ask(scene.prometheus.http, "meter_health", BOARDS["meter_health"], scene.shown)
    assert empty(answers) == set()


@pytest.mark.parametrize("accounting", ["as_run", "one_off", "amortized"])
def test_every_accounting_has_answers(scene: Scene, accounting: str) -> None:
    answers = ask(scene.prometheus.http, "worth_it", BOARDS["worth_it"], scene.shown, accounting=accounting)
    energy = answers.data["What are the figures behind the points?", "A"]["result"]
    assert {row["metric"]["run"] for row in energy} >= {"demo-kd-2", "paper-kd-13b"}


@pytest.mark.parametrize("choice", ["nothing-of-that-name", "(demo-kd-1|paper-kd-1b)", "demo-kd-1"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_choice_of_runs_is_one_that_prometheus_reads(scene: Scene, name: str, choice: str) -> None:
    answers = ask(scene.prometheus.http, name, BOARDS[name], scene.shown, run=choice)
    for place, data in answers.data.items():
        # Where a picture has only the name to say it with, the origin stands behind it.
        runs = {row["metric"]["run"].split(" ")[0] for row in data["result"] if "run" in row["metric"]}
        # Windows of the meter are shown whatever the run, and a variable lists what can be chosen.
        if name != "meter_health" and not place[0].startswith("variable"):
            assert runs <= set(choice.strip("()").split("|")), place


def test_what_exporter_is_chosen_decides_what_is_read(scene: Scene) -> None:
    board = BOARDS["meter_health"]
    answers = ask(scene.prometheus.http, "meter_health", board, scene.shown, instance=scene.gpus.url[7:])
    rows = answers.data["What is read, from where, and how well?", "A"]["result"]
    assert {row["metric"]["model"] for row in rows} == {"Mock GPU"}


@pytest.mark.parametrize("name", BOARDS)
def test_variables_list_what_is_there(scene: Scene, name: str) -> None:
    answers = ask(scene.prometheus.http, name, BOARDS[name], scene.shown)

    def listed(variable: str) -> set[str]:
        return {row["metric"][variable] for row in answers.data[f"variable {variable}", "Var"]["result"]}

    assert listed("job") == {"joulemark"}
    assert len(listed("instance")) == 4
    if name != "meter_health":
        assert {"replay-kd", "paper-sft-7b", "demo-sft-2"} <= listed("run")


def test_a_variable_that_is_not_filled_in_would_be_found(scene: Scene) -> None:
    for name, board in BOARDS.items():
        for asked in queries(name, board):
            assert not re.search(r"\$\D", substituted(asked.expr, defaults(board))), asked.key
    broken: dict[str, Any] = scene.prometheus.http.post("/api/v1/query", data={"query": "up{job=~$job}"}).json()
    assert broken["status"] == "error"


def test_the_rules_that_the_boards_stand_on_all_evaluate(scene: Scene) -> None:
    assert scene.prometheus.rule_errors() == []
