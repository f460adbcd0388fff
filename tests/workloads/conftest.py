"""A tiny teacher as a folder, and experiments on it that take seconds."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pynvml
import pytest
from fake_hub import Hub
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


@pytest.fixture
def hub(teacher_folder: Path) -> Iterator[ThreadingHTTPServer]:
    """A hub that has a port and does not answer there until it is served."""
    Hub.folder, Hub.lost = teacher_folder, ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


@pytest.fixture
def asked(hub: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process asks that hub, keeps nothing elsewhere, and does not wait between two tries."""
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils._http.time", types.SimpleNamespace(sleep=lambda _: None))
    return endpoint
