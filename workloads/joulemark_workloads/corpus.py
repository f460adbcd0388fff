"""Text into packed blocks of tokens: English of the Python documentation, the same on every machine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import datasets
import numpy as np

from .config import Data
from .errors import WorkloadError

NAME = "python-documentation"


class Corpus(NamedTuple):
    """Packed blocks, each row one `input_ids` of block_tokens tokens; `tokens` is how many were tokenised."""

    train: Any
    heldout: Any
    tokens: int
    identity: str


def prepare(tokenizer: Any, data: Data, folder: Path) -> Corpus:
    """Tokenise, pack, split and keep as Arrow; raises WorkloadError where the text is too short for what is asked."""
    texts = [topics[name] for name in sorted(topics)]
    end = tokenizer.eos_token_id
    ids = [token for text in tokenizer(texts)["input_ids"] for token in (*text, end)]
    blocks = np.array(ids[: len(ids) // data.block_tokens * data.block_tokens], dtype=np.int32)
    blocks = blocks.reshape(-1, data.block_tokens)
    asked = data.train_blocks + data.heldout_blocks
    if asked > len(blocks):
        raise WorkloadError(
            f"data asks for {asked} blocks of {data.block_tokens} tokens, the text has {len(blocks)}: "
            "lower data.train_blocks or data.heldout_blocks"
        )
    # Held-out text comes from the end, so that no block of it touches a trained one.
    train, heldout = blocks[: data.train_blocks], blocks[len(blocks) - data.heldout_blocks :]
    identity = hashlib.sha256(train.tobytes() + heldout.tobytes()).hexdigest()
    return Corpus(_keep(train, folder / "train"), _keep(heldout, folder / "heldout"), len(ids), identity)


def _keep(blocks: np.ndarray[Any, Any], folder: Path) -> Any:
    datasets.Dataset.from_dict({"input_ids": list(blocks)}).save_to_disk(str(folder))
    return datasets.load_from_disk(str(folder)).with_format("torch")
