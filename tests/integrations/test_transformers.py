"""JoulemarkCallback in a real Trainer: what is booked to what, whose tokens, which scores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from exporter_process import free_port
from fake_exporter import FakeExporter
from tiny_trainer import LENGTH, arguments, rows, trainer

import joulemark
from joulemark.integrations.transformers import JoulemarkCallback

Booked = list[tuple[str, str, dict[str, int]]]
TRAINED = 12 * LENGTH


@pytest.fixture(autouse=True)
def _exporter(fake: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEMARK_URL", fake.url)


def booked(fake: FakeExporter) -> Booked:
    """Stage, phase and tokens of every window, in the order of beginning; all of them must be over."""
    assert not fake.open_windows()
    return [(window["stage"], window["phase"], window["tokens"]) for window in fake.windows.values()]


def accuracy(_: Any) -> dict[str, float]:
    return {"accuracy": 0.5, "perplexity": 12.0}


def test_training_evaluation_and_checkpoints_are_booked_apart(fake: FakeExporter, tmp_path: Path) -> None:
    args = arguments(tmp_path, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2)
    trainer(args, JoulemarkCallback("kd-1", phase="kd", pipeline="kd")).train()
    student = ("student", "kd", {"trained": TRAINED})
    evaluated = ("eval", "", {"evaluated": 4 * LENGTH})
    saved: tuple[str, str, dict[str, int]] = ("student", "checkpoint", {})
    # After the second step, and at the end.
    assert booked(fake) == [student, evaluated, saved, evaluated, saved]
    inner = list(fake.windows.values())[1:]
    assert {window["parent"] for window in inner} == {"w0"}
    assert fake.made("PUT", "/runs/kd-1") == [{"pipeline": "kd"}]


def test_each_interlude_begins_and_ends_where_it_should(fake: FakeExporter, tmp_path: Path) -> None:
    open_in: dict[str, set[str]] = {}

    def note(what: str) -> None:
        open_in.setdefault(what, set()).add(" ".join([f"{w['stage']}/{w['phase']}" for w in fake.open_windows()][-1:]))

    args = arguments(tmp_path, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=2)
    made = trainer(args, JoulemarkCallback("kd-1"))
    for name in ("training_step", "prediction_step", "_save_checkpoint"):
        setattr(made, name, noted(getattr(made, name), partial(note, name)))
    made.train()
    assert open_in == {
        "training_step": {"student/"},
        "prediction_step": {"eval/"},
        "_save_checkpoint": {"student/checkpoint"},
    }


def noted(method: Callable[..., Any], note: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        note()
        return method(*args, **options)

    return call


@pytest.mark.parametrize(
    ("option", "source", "trained"),
    [("no", "batches", TRAINED), ("all", "trainer", TRAINED), ("non_padding", "trainer", 12 * 6)],
)
def test_tokens_are_the_trainer_s_own_where_it_counts(
    option: str, source: str, trained: int, fake: FakeExporter, tmp_path: Path
) -> None:
    callback = JoulemarkCallback("kd-1")
    args = arguments(tmp_path, include_num_input_tokens_seen=option)
    made = trainer(args, callback)
    made.train()
    assert callback.token_source == source
    assert booked(fake) == [("student", "", {"trained": trained})]
    if source == "trainer":
        assert made.state.num_input_tokens_seen == trained


def test_a_resumed_training_counts_only_what_it_trains(fake: FakeExporter, tmp_path: Path) -> None:
    options = {"include_num_input_tokens_seen": "all", "save_strategy": "steps", "save_steps": 2}
    trainer(arguments(tmp_path, max_steps=2, **options), JoulemarkCallback("kd-1")).train()
    fake.windows.clear()
    made = trainer(arguments(tmp_path, max_steps=3, **options), JoulemarkCallback("kd-1"))
    made.train(resume_from_checkpoint=True)
    assert booked(fake)[0] == ("student", "", {"trained": 4 * LENGTH})


def test_several_evaluation_sets_are_one_evaluation(fake: FakeExporter, tmp_path: Path) -> None:
    args = arguments(tmp_path, eval_strategy="steps", eval_steps=1)
    made = trainer(args, JoulemarkCallback("kd-1"), eval_dataset={"a": rows(2), "b": rows(4)}, compute_metrics=accuracy)
    made.train()
    assert booked(fake)[1:] == [("eval", "", {"evaluated": 6 * LENGTH})] * 3
    scores = [(body["benchmark"], body["n"]) for body in fake.made("POST", "/runs/kd-1/scores")]
    assert scores == [("a_accuracy", 2), ("b_accuracy", 4)] * 3


def test_scores_are_those_metrics_that_are_scores(fake: FakeExporter, tmp_path: Path) -> None:
    args = arguments(tmp_path, eval_strategy="epoch")
    trainer(args, JoulemarkCallback("kd-1", references={"accuracy": 0.8}), compute_metrics=accuracy).train()
    score = {"benchmark": "accuracy", "score": 0.5, "reference": 0.8, "n": 4}
    assert fake.made("POST", "/runs/kd-1/scores") == [score]
    fake.calls.clear()
    named = JoulemarkCallback("kd-2", scores={"eval_perplexity": "wikitext"})
    trainer(args, named, compute_metrics=accuracy).train()
    assert [body["benchmark"] for body in fake.made("POST", "/runs/kd-2/scores")] == ["wikitext"]


def test_the_best_model_s_scores_stay_when_it_is_loaded_at_the_end(fake: FakeExporter, tmp_path: Path) -> None:
    values = iter([0.2, 0.9, 0.4])
    args = arguments(
        tmp_path, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1,
        load_best_model_at_end=True, metric_for_best_model="accuracy", greater_is_better=True,
    )  # fmt: skip
    made = trainer(args, JoulemarkCallback("kd-1"), compute_metrics=lambda _: {"accuracy": next(values)})
    made.train()
    sent = [body["score"] for body in fake.made("POST", "/runs/kd-1/scores")]
    assert sent == [0.2, 0.9, 0.4, 0.9]


def test_an_open_run_is_used_and_left_open(fake: FakeExporter, tmp_path: Path) -> None:
    with joulemark.run("kd-1") as run:
        made = trainer(arguments(tmp_path), JoulemarkCallback())
        made.train()
        with run.stage("eval", phase="final"):
            made.evaluate()
        made.evaluate()
    names = [(stage, phase) for stage, phase, _ in booked(fake)]
    # The job's own stage is not opened a second time by the callback.
    assert names == [("student", ""), ("eval", "final"), ("eval", "")]


def test_a_training_that_fails_is_ended_with_its_run(fake: FakeExporter, tmp_path: Path) -> None:
    made = trainer(arguments(tmp_path), JoulemarkCallback())
    calls = iter(range(100))

    def fail(*_: Any, **__: Any) -> Any:
        if next(calls) == 2:
            raise MemoryError
        return plain(*_, **__)

    plain, made.training_step = made.training_step, fail  # type: ignore[method-assign]
    with joulemark.run("kd-1"):
        with pytest.raises(MemoryError):
            made.train()
        made.train()
    assert [stage for stage, _, _ in booked(fake)] == ["student", "student"]


def test_without_an_exporter_the_training_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = trainer(arguments(tmp_path), JoulemarkCallback("kd-1")).train().training_loss
    monkeypatch.setenv("JOULEMARK_URL", f"http://127.0.0.1:{free_port()}")
    assert trainer(arguments(tmp_path), JoulemarkCallback("kd-1")).train().training_loss == plain


def test_wrong_names_are_refused_when_the_callback_is_made() -> None:
    for wrong in ({"run": "no spaces"}, {"stage": "Student"}, {"phase": "a b"}, {"eval_stage": "unattributed"}):
        with pytest.raises(joulemark.JoulemarkError):
            JoulemarkCallback(**wrong)  # type: ignore[arg-type]


RANK = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from tiny_trainer import arguments, trainer
from joulemark.integrations.transformers import JoulemarkCallback
args = arguments(Path({folder!r}), include_num_input_tokens_seen={option!r}, eval_strategy="epoch", ddp_backend="gloo")
trainer(args, JoulemarkCallback("ddp"), compute_metrics=lambda _: {{"accuracy": 0.5}}).train()
"""


@pytest.mark.parametrize("option", ["no", "all"])
def test_of_two_ranks_one_speaks_and_all_tokens_count(option: str, fake: FakeExporter, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(RANK.format(tests=str(Path(__file__).parent), folder=str(tmp_path), option=option))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(launch, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert booked(fake) == [("student", "", {"trained": TRAINED}), ("eval", "", {"evaluated": 4 * LENGTH})]
    assert len(fake.made("POST", "/runs/ddp/scores")) == 1


def test_importing_joulemark_does_not_import_transformers() -> None:
    code = "import sys, joulemark, joulemark.integrations; print('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
