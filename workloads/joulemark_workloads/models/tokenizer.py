"""What identifies a tokenizer, and whether two models speak the same tokens."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..errors import WorkloadError


def tokenizer_identity(tokenizer: Any) -> str:
    """`sha256:…` of vocabulary, merges, special tokens and chat template: what decides which ids a text becomes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else json.dumps(sorted(tokenizer.get_vocab().items()))
    facts = [rules, sorted(map(str, tokenizer.all_special_tokens)), tokenizer.chat_template]
    return "sha256:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def check_same_tokens(teacher: Any, student: Any, names: tuple[str, str]) -> None:
    """Raise WorkloadError, naming the first difference, where two tokenizers do not give the same ids."""
    theirs, ours = teacher.get_vocab(), student.get_vocab()
    difference = None
    if len(theirs) != len(ours):
        difference = f"{len(theirs)} tokens there, {len(ours)} here"
    elif theirs != ours:
        token = min(token for token in theirs if theirs[token] != ours.get(token))
        difference = f"token {token!r} is {theirs[token]} there, {ours.get(token, 'unknown')} here"
    if difference:
        raise WorkloadError(
            f"teacher {names[0]} and student {names[1]} do not share a tokenizer ({difference}): "
            "choose a student of the teacher's family, or cut one out of it with student.layers"
        )


def check_vocabulary(tokenizer: Any, model: Any, name: str) -> None:
    """Raise WorkloadError where a model has no room for every token of the tokenizer."""
    needed, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().num_embeddings
    if needed > rows:
        raise WorkloadError(
            f"model {name} has {rows} tokens, its tokenizer needs {needed}: they do not belong together; "
            "give a folder or a revision in which they do"
        )
