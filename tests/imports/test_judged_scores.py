"""`joulemark import alpaca-eval` and `mt-bench`: the tools' own files become scores of a run that is there."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_process import Exporter

from joulemark.imports import ImportFailed
from joulemark.imports.alpaca_eval import alpaca_eval_score
from joulemark.imports.mt_bench import mt_bench_score

# Two lines of the form that alpaca_eval 0.6 writes.
LEADERBOARD = """,win_rate,standard_error,mode,avg_length,n_wins,n_wins_base,n_draws,n_total,discrete_win_rate,\
length_controlled_winrate,lc_standard_error
student,18.9,1.24,community,1843,151,654,0,805,18.76,13.0,0.07
teacher,30.5,1.44,community,1163,235,566,4,805,29.4,32.5,0.06
"""


def judgement(question: int, turn: int, score: float, model: str = "student") -> dict[str, object]:
    """A line as FastChat writes it."""
    return {
        "question_id": question, "model": model, "judge": ["gpt-4", "single-v1"], "user_prompt": "…", "judgment": "…",
        "score": score, "turn": turn, "tstamp": 1687222893.2,
    }  # fmt: skip


def lines(path: Path, *judgements: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in judgements))
    return path


@pytest.fixture
def leaderboard(tmp_path: Path) -> Path:
    path = tmp_path / "leaderboard.csv"
    path.write_text(LEADERBOARD)
    return path


@pytest.fixture
def judgements(tmp_path: Path) -> Path:
    return lines(
        tmp_path / "gpt-4_single.jsonl",
        judgement(81, 1, 3.0),
        judgement(81, 1, 8.0),
        judgement(81, 2, 6.0),
        judgement(82, 1, 4.0),
        judgement(82, 2, -1),
        judgement(81, 1, 9.0, "teacher"),
    )


def test_alpaca_eval_2_is_the_win_rate_controlled_for_length(leaderboard: Path) -> None:
    score = alpaca_eval_score(leaderboard, "student", "teacher")
    assert (score.benchmark, score.n) == ("alpaca_eval_2", 805)
    assert score.score == pytest.approx(0.13)
    assert score.reference == pytest.approx(0.325)
    assert score.stderr == pytest.approx(0.0007)
    raw = alpaca_eval_score(leaderboard, "student", raw=True)
    assert (raw.benchmark, raw.reference, raw.n) == ("alpaca_eval_2_raw", None, 805)
    assert raw.score == pytest.approx(0.189)
    assert raw.stderr == pytest.approx(0.0124)


def test_a_leaderboard_of_alpaca_eval_1_says_what_would_do(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.csv"
    path.write_text("model_name,win_rate,standard_error,n_total\nstudent,18.9,1.24,805\n")
    with pytest.raises(ImportFailed, match=r"no column length_controlled_winrate.*--raw takes the plain win_rate"):
        alpaca_eval_score(path)
    assert alpaca_eval_score(path, raw=True).score == pytest.approx(0.189)


def test_a_model_that_is_not_named_or_not_there_is_asked_for(leaderboard: Path, judgements: Path) -> None:
    with pytest.raises(ImportFailed, match="has 2 models: name one of student, teacher"):
        alpaca_eval_score(leaderboard)
    with pytest.raises(ImportFailed, match="has no model 'nobody': name one of student, teacher"):
        mt_bench_score(judgements, "nobody")


def test_mt_bench_is_the_mean_of_all_turns_over_ten(judgements: Path) -> None:
    # Judged anew, question 81 has 8 and 6; of question 82 the second judgement could not be read.
    score = mt_bench_score(judgements, "student", "teacher")
    assert score.score == pytest.approx((8 + 6 + 4) / 30)
    assert score.stderr == pytest.approx(math.sqrt(2) * 0.15 / math.sqrt(2))
    assert score.reference == pytest.approx(0.9)
    assert (score.benchmark, score.n) == ("mt_bench", 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"question_id": 1, "g1_winner": "tie"}', "line 1: no judgement of one answer"),
        ("nonsense", "line 1: no judgement of one answer"),
        (json.dumps(judgement(1, 1, 11)), "score is 11, not a number from 0 to 10"),
        (json.dumps(judgement(1, 1, -1)), "no judgement with a score"),
        ("", "no judgement with a score"),
    ],
)
def test_a_file_that_is_none_is_refused_by_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(ImportFailed, match=told):
        mt_bench_score(path)


def test_scores_go_to_a_run_that_is_there_and_to_no_other(
    make_exporter: Callable[..., Exporter], leaderboard: Path, judgements: Path
) -> None:
    exporter = make_exporter("--source", "cpu_model")
    exporter.http.put("/api/v1/runs/kd-1", json={"teacher": "T"})

    def imported(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from joulemark.cli import main; main()", "import", *map(str, arguments)]
        return subprocess.run([*command, "--url", exporter.url], capture_output=True, text=True, timeout=60)

    model = ("--run", "kd-1", "--model", "student")
    for _ in range(2):
        done = imported("alpaca-eval", leaderboard, *model, "--teacher-model", "teacher")
        assert done.stdout == "kd-1: alpaca_eval_2 0.130 ± 0.001, teacher 0.325, n = 805\n", done.stderr
    assert imported("mt-bench", judgements, *model, "--reference", "0.9").returncode == 0
    scores = {one["benchmark"]: one for one in exporter.http.get("/api/v1/runs/kd-1").json()["scores"]}
    assert scores["alpaca_eval_2"] == {
        "benchmark": "alpaca_eval_2", "score": 0.13, "reference": 0.325, "n": 805, "stderr": 0.0007,
    } | {"stderr": pytest.approx(0.0007)}  # fmt: skip
    assert scores["mt_bench"]["reference"] == 0.9
    assert exporter.metrics()['joulemark_reference_score{benchmark="mt_bench",teacher="T"}'] == 0.9
    missing = imported("mt-bench", judgements, "--run", "nobody", "--model", "student")
    assert missing.returncode == 2
    assert "nobody" in missing.stderr
    assert "a score needs its run" in missing.stderr.replace("\n", " ")
    assert {run["run"] for run in exporter.http.get("/api/v1/runs").json()} == {"kd-1"}
