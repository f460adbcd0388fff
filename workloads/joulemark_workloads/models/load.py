"""Models into memory, on the device that there is."""

from __future__ import annotations

import os
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from .locate import ModelFolder


def device() -> torch.device:
    """Where models run: this process's GPU where there is one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def load_teacher(folder: ModelFolder, dtype: str = "auto") -> Any:
    """The teacher in evaluation mode; `auto` is float32 on a CPU and bfloat16 on a GPU.

    One process with several GPUs spreads it over them, so that a teacher larger than one card can be used.
    """
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    spread: dict[str, Any] = {"device_map": "auto"} if alone and torch.cuda.device_count() > 1 else {}
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder.path, revision=folder.revision, dtype=teacher_dtype(dtype), **spread
    )
    return model.eval() if spread else model.to(device()).eval()


def teacher_dtype(dtype: str) -> torch.dtype:
    """The precision that a configuration's word stands for on this machine."""
    if dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]


def load_tokenizer(folder: ModelFolder) -> Any:
    """The tokenizer alone, without paying for the model."""
    return AutoTokenizer.from_pretrained(folder.path, revision=folder.revision)


def load_trained(path: str) -> Any:
    """A trained student in evaluation mode, in the precision it was saved in, or float32 on a CPU."""
    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    return model.to(device()).eval()
