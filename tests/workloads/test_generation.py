"""Generation: one response to each prompt, the same for the same seed, sorted by length, resumable, paced."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_model import tiny_model
from transformers import AutoTokenizer

from joulemark_workloads.config.sections import Generation
from joulemark_workloads.errors import WorkloadError
from joulemark_workloads.models.locate import ModelFolder
from joulemark_workloads.phases.pace import Pace
from joulemark_workloads.teacher import synthetic_set
from joulemark_workloads.teacher.artifact import Artifact, open_artifact
from joulemark_workloads.teacher.engine import Ids, engine_name, make_engine
from joulemark_workloads.teacher.transformers_engine import TransformersEngine

WANTED = Generation(max_new_tokens=12, batch_prompts=3, prompts_per_shard=4)


@pytest.fixture(scope="module")
def tokenizer(teacher_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(teacher_folder)


@pytest.fixture(scope="module")
def prompts() -> list[Ids]:
    random = np.random.default_rng(0)
    return [random.integers(1, 300, size=size).astype(np.int32) for size in (5, 2, 9, 3, 7, 7, 4, 2, 6, 8)]


def engine(tokenizer: Any, **other: Any) -> TransformersEngine:
    return TransformersEngine(tiny_model(vocabulary=300), tokenizer, WANTED.model_copy(update=other))


def nothing(grown: int, full: int) -> None:
    """Nobody looks."""


def test_the_same_seed_writes_the_same_and_another_does_not(tokenizer: Any, prompts: list[Ids]) -> None:
    def write(seed: int) -> list[list[int]]:
        return [response.tolist() for response in engine(tokenizer).generate(prompts, seed, nothing)]

    first = write(1)
    assert len(first) == len(prompts)
    assert first == write(1)
    assert first != write(2)
    assert all(0 < len(response) <= 12 for response in first)


def test_greedy_does_not_depend_on_what_else_is_in_the_batch(tokenizer: Any, prompts: list[Ids]) -> None:
    together = engine(tokenizer, temperature=0.0, batch_prompts=10).generate(prompts, 0, nothing)
    alone = engine(tokenizer, temperature=0.0, batch_prompts=1).generate(prompts, 0, nothing)
    assert [response.tolist() for response in together] == [response.tolist() for response in alone]


def test_a_nucleus_of_nothing_is_greedy(tokenizer: Any, prompts: list[Ids]) -> None:
    greedy = engine(tokenizer, temperature=0.0).generate(prompts, 0, nothing)
    nucleus = engine(tokenizer, top_p=1e-6).generate(prompts, 5, nothing)
    assert [response.tolist() for response in nucleus] == [response.tolist() for response in greedy]


def test_a_response_ends_with_its_end_and_progress_counts_every_token(tokenizer: Any, prompts: list[Ids]) -> None:
    model = tiny_model(vocabulary=300)
    # One token in five is an end, so that batches thin out.
    ends = list(range(60))
    model.generation_config.eos_token_id = ends
    counted: list[int] = []
    wanted = WANTED.model_copy(update={"batch_prompts": 10})
    responses = TransformersEngine(model, tokenizer, wanted).generate(
        prompts, 3, lambda grown, _: counted.append(grown)
    )
    assert sum(response[-1] in ends for response in responses) > 5
    assert not any(token in ends for response in responses for token in response[:-1])
    assert sum(counted) == sum(len(response) for response in responses)
    assert counted == sorted(counted, reverse=True)


def synthetic(root: Path) -> Artifact:
    return open_artifact(root, synthetic_set.KIND, {"prompts_per_shard": 4, "seed": 0}, 3)


def test_pairs_come_back_in_the_order_of_the_prompts(tmp_path: Path, tokenizer: Any, prompts: list[Ids]) -> None:
    made = synthetic(tmp_path)
    asked = list(synthetic_set.fill(made, made.missing, engine(tokenizer), prompts, nothing, "s-1"))
    assert sum(asked) == sum(len(prompt) for prompt in prompts)
    pairs = synthetic_set.pairs(synthetic(tmp_path))
    assert [prompt.tolist() for prompt, _ in pairs] == [prompt.tolist() for prompt in prompts]
    assert made.tokens == sum(len(response) for _, response in pairs)


def test_longest_prompts_go_first(prompts: list[Ids]) -> None:
    lengths = [len(prompts[place]) for place in synthetic_set.by_length(prompts)]
    assert lengths == sorted(lengths, reverse=True)


def test_one_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path, tokenizer: Any, prompts: list[Ids]) -> None:
    whole, broken = synthetic(tmp_path / "a"), synthetic(tmp_path / "b")
    list(synthetic_set.fill(whole, whole.missing, engine(tokenizer), prompts, nothing, "s-1"))
    next(synthetic_set.fill(broken, broken.missing, engine(tokenizer), prompts, nothing, "s-1"))
    resumed = synthetic(tmp_path / "b")
    assert resumed.missing == [1, 2]
    list(synthetic_set.fill(resumed, resumed.missing, engine(tokenizer), prompts, nothing, "s-1"))
    for (_, one), (_, other) in zip(synthetic_set.pairs(whole), synthetic_set.pairs(resumed), strict=True):
        assert one.tolist() == other.tolist()


class Ledger:
    """Sees which phases were entered, and the tokens of each."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []
        self.summary = None
        self.name = "r"

    def stage(self, stage: str, *, phase: str = "") -> Any:
        self.lines.append((f"{stage}/{phase}", 0))
        return self

    def add_tokens(self, **counts: int) -> None:
        name, tokens = self.lines[-1]
        self.lines[-1] = (name, tokens + counts["generated"])

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None: ...


def test_steady_work_is_booked_apart_from_the_ramp_down() -> None:
    ledger: Any = Ledger()
    with Pace(ledger, "teacher", "generation", "ramp_down") as pace:
        for grown in (8, 8, 4, 3, 1, 8):
            pace.step(grown, 8)
    assert ledger.lines == [("teacher/generation", 20), ("teacher/ramp_down", 4), ("teacher/generation", 8)]


def test_an_engine_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert engine_name(Generation(engine="transformers")) == "transformers"
    with pytest.raises(WorkloadError, match="vllm, which is not installed"):
        make_engine(ModelFolder("m", "i"), "auto", Generation(engine="vllm"))


class FakeVllm(ModuleType):
    """The part of vLLM's interface that is used: requests are added, stepped, and grow one token a step."""

    def __init__(self) -> None:
        super().__init__("vllm")
        self.SamplingParams = SimpleNamespace
        self.requests: dict[str, tuple[list[int], Any, list[int]]] = {}
        self.options: dict[str, Any] = {}

    def LLM(self, **options: Any) -> Any:  # noqa: N802  vLLM's own name
        self.options = options
        return SimpleNamespace(llm_engine=self)

    def add_request(self, name: str, prompt: dict[str, list[int]], sampling: Any) -> None:
        self.requests[name] = (prompt["prompt_token_ids"], sampling, [])

    def has_unfinished_requests(self) -> bool:
        return bool(self.requests)

    def step(self) -> list[Any]:
        outputs = []
        for name, (prompt, sampling, written) in list(self.requests.items())[: self.options["max_num_seqs"]]:
            written.append(prompt[0] + sampling.seed)
            finished = len(written) == min(sampling.max_tokens, len(prompt))
            if finished:
                del self.requests[name]
            outputs.append(
                SimpleNamespace(request_id=name, outputs=[SimpleNamespace(token_ids=list(written))], finished=finished)
            )
        return outputs[::-1]


def test_vllm_is_stepped_until_all_is_written(monkeypatch: pytest.MonkeyPatch, prompts: list[Ids]) -> None:
    fake = FakeVllm()
    monkeypatch.setitem(sys.modules, "vllm", fake)
    counted: list[int] = []
    made = make_engine(ModelFolder("m", "i"), "auto", WANTED.model_copy(update={"engine": "vllm"}))
    responses = made.generate(prompts, 100, lambda grown, full: counted.append(grown))
    wanted = [[int(prompt[0]) + 100 + number] * len(prompt) for number, prompt in enumerate(prompts)]
    assert [response.tolist() for response in responses] == wanted
    assert sum(counted) == sum(map(len, wanted))
    assert fake.options["max_num_seqs"] == 3
