"""A tiny teacher as a folder, and experiments on it that take seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest
from tiny_model import tiny_folder

EXPERIMENT = """
name: t
teacher: {teacher}
student: {{layers: 2}}
pipelines: [{pipelines}]
data: {{block_tokens: 32, train_blocks: 16, heldout_blocks: 4}}
prerun: {{idle_seconds: 0.1, burn_in_seconds: 0.01}}
logit_cache: {{top_k: 16, blocks_per_shard: 4}}
generation: {{prompts: 8, prompt_tokens: 8, max_new_tokens: 24, batch_prompts: 4, prompts_per_shard: 4}}
training: {{effective_batch_blocks: 4, micro_batch_blocks: 2, warmup_steps: 1, learning_rate: 0.01}}
evaluation: {{tasks: [], serving: {{sequences: 2, prompt_tokens: 8, warmup_tokens: 1, new_tokens: 4}}}}
"""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process sees no GPU: tests before may have loaded a scripted one into it, lost or busy as it was left."""

    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few thousand weights with its tokenizer."""
    return tiny_folder(tmp_path_factory.mktemp("teacher") / "tiny-teacher")


@pytest.fixture
def experiment_file(tmp_path: Path, teacher_folder: Path) -> Callable[..., Path]:
    """Writes an experiment on the tiny teacher; more YAML may follow."""

    def write(*pipelines: str, more: str = "", name: str = "t.yaml") -> Path:
        path = tmp_path / name
        path.write_text(EXPERIMENT.format(teacher=teacher_folder, pipelines=", ".join(pipelines or ("kd",))) + more)
        return path

    return write
