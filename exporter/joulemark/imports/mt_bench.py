"""MT-Bench: the judgements that FastChat's `gen_judgment.py` writes, `model_judgment/JUDGE_single.jsonl`.

One JSON object a line: question_id, model, turn and a score of 1 to 10; -1 is a judgement that could not be read, which
FastChat leaves out as well. The score of a model is the mean over all turns; here it is a part of ten.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ..ledger.snapshot import Score
from .imported_run import ImportFailed
from .one_model import the_model

BENCHMARK = "mt_bench"
_BEST, _UNREADABLE = 10, -1


def mt_bench_score(path: Path, model: str = "", reference: str = "") -> Score:
    """A model's score of 0 to 1, its standard error over questions, and the reference model's from the same file.

    The only model where none is named. Raises ImportFailed.
    """
    judged = _judgements(path)
    questions = judged[the_model(judged, model, path)]
    spread = [fmean(turns) for turns in questions.values()]
    return Score(
        BENCHMARK,
        _mean(questions),
        _mean(judged[the_model(judged, reference, path)]) if reference else None,
        len(questions),
        stdev(spread) / math.sqrt(len(spread)) if len(spread) > 1 else None,
    )


def _mean(questions: dict[str, list[float]]) -> float:
    return fmean(score for turns in questions.values() for score in turns)


def _judgements(path: Path) -> dict[str, dict[str, list[float]]]:
    """Scores of 0 to 1 by model and question; a judgement that was made anew counts once, as it is last."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFailed(f"{path} cannot be read: {error}") from error
    last: dict[tuple[str, str, str], float] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            key, score = _judgement(line, f"{path}, line {number}")
            last[key] = score
    judged: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (model, question, _), score in last.items():
        if score != _UNREADABLE:
            judged[model][question].append(score / _BEST)
    if not judged:
        raise ImportFailed(f"{path} has no judgement with a score: there is nothing to import")
    return judged


def _judgement(line: str, where: str) -> tuple[tuple[str, str, str], float]:
    try:
        data: Any = json.loads(line)
        key = str(data["model"]), str(data["question_id"]), str(data.get("turn", 1))
        score = float(data["score"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImportFailed(
            f"{where}: no judgement of one answer with model, question_id and score: name FastChat's …_single.jsonl"
        ) from error
    if not (score == _UNREADABLE or 0 <= score <= _BEST):
        raise ImportFailed(f"{where}: score is {score:g}, not a number from 0 to {_BEST}")
    return key, score
