"""`python -m preview FOLDER [--ledger DIR]`: starts all that the boards show and draws each board into the folder."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from answers import ask
from board_files import boards
from grafana_code import draw
from scene import LIVE_RUN, Scene

from .canvas import draw_board

_REAL = "runs of make demo (modelled)"
_SCRIPTED = "scripted demo runs (modelled)"
_NOTE = "Data: paper-… published; {}; replay-… a scripted trace, modelled; mock-gpu-… a mock, no measurement."
# Neither the mock's run, which is no measurement, nor what a demo runs beside its pipelines.
_RUNS = "(paper|replay|demo|kd|sft|synthetic_sft)-.+"


def main() -> None:
    """Draw every board, and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--ledger", type=Path, help="folder of a demo's ledger, e.g. .joulemark/ledger")
    parser.add_argument("--width", type=int, default=1280, help="pixels: 1280 of a laptop, 3840 of a wall")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    ledger = options.ledger if options.ledger and options.ledger.exists() else None
    note = _NOTE.format(_REAL if ledger else _SCRIPTED)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), ledger)
        try:
            scene.settle()
            chosen = {"run": {"run": LIVE_RUN}, "pipelines": {"run": _RUNS}, "worth_it": {"run": _RUNS}}
            answers = [
                ask(scene.prometheus.http, name, board, scene.shown, **chosen.get(name, {}))
                for name, board in boards().items()
            ]
        finally:
            scene.stop()
    for one, drawn in zip(answers, draw(answers), strict=True):
        path = options.folder / f"board_{one.name}.png"
        draw_board(dict(one.board), drawn, note, path, options.width)
        print(f"{path}  {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
