"""AlpacaEval 2: the `leaderboard.csv` that `alpaca_eval evaluate` writes, one line a model, percentages.

Columns: the model's name (its head is empty, or `model_name`), win_rate, standard_error, n_total and, from AlpacaEval 2
on, length_controlled_winrate and lc_standard_error. The length-controlled win rate is AlpacaEval 2's score; here it is
a part of one.
"""

from __future__ import annotations

from pathlib import Path

from ..ledger.snapshot import Score
from .columns import Line, lines_of
from .imported_run import ImportFailed
from .one_model import the_model

BENCHMARK = "alpaca_eval_2"
_NAME_COLUMNS = ("", "model_name", "name")
_CONTROLLED = ("length_controlled_winrate", "lc_standard_error")
_RAW = ("win_rate", "standard_error")


def alpaca_eval_score(path: Path, model: str = "", reference: str = "", *, raw: bool = False) -> Score:
    """A model's score of 0 to 1, with the reference model's from the same file; the only model where none is named.

    `raw` takes the win rate that is not controlled for length. Raises ImportFailed.
    """
    value, error = _RAW if raw else _CONTROLLED
    try:
        lines = lines_of(path, [value])
    except ImportFailed as failed:
        raw_alone = not raw and value in str(failed)
        raise ImportFailed(f"{failed} --raw takes the plain win_rate" if raw_alone else str(failed)) from failed
    by_model = {_name(line): line for line in lines}
    line = by_model[the_model(by_model, model, path)]
    n, stderr = int(line.amount("n_total")), line.amount(error)
    return Score(
        f"{BENCHMARK}_raw" if raw else BENCHMARK,
        line.amount(value) / 100,
        by_model[the_model(by_model, reference, path)].amount(value) / 100 if reference else None,
        n or None,
        stderr / 100 if line.text(error) else None,
    )


def _name(line: Line) -> str:
    return next((name for column in _NAME_COLUMNS if (name := line.text(column))), "")
