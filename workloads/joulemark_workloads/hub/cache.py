"""Whether a thing of a hub is in the local cache, so that it loads without any network."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import try_to_load_from_cache
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from .thing import Repository, Thing

# Any of these is enough for a tokenizer of its family.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tokenizer_config.json")


def is_cached(thing: Thing) -> bool:
    """Whether what is needed of it is here; a name that no hub can have is nowhere."""
    if thing.repository.kind == "dataset":
        return _has_data_set(thing)
    try:
        return _has_model(thing)
    except ValueError:
        return False


def _has_model(thing: Thing) -> bool:
    repository = thing.repository
    if _file(repository, "config.json") is None:
        return False
    if thing.part == "tokenizer":
        return any(_file(repository, name) for name in _TOKENIZERS)
    return _has_weights(repository)


def _has_weights(repository: Repository) -> bool:
    """In one file, or in every one that an index names."""
    if any(_file(repository, name) for name in (SAFE_WEIGHTS_NAME, WEIGHTS_NAME)):
        return True
    for name in (SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_INDEX_NAME):
        index = _file(repository, name)
        if index and all(_file(repository, file) for file in set(json.loads(index.read_text())["weight_map"].values())):
            return True
    return False


def _file(repository: Repository, name: str) -> Path | None:
    found = try_to_load_from_cache(repository.name, name, revision=repository.revision)
    return Path(found) if isinstance(found, str) else None


def _has_data_set(thing: Thing) -> bool:
    """What `load_dataset` itself falls back on where it reaches no hub: rows that it has prepared before."""
    name = thing.repository.name
    told, _ = datasets.logging.get_verbosity(), datasets.logging.set_verbosity_error()
    try:
        Cache(
            repo_id=name,
            dataset_name=name.rpartition("/")[2],
            config_name=thing.subset,
            version="auto",
            hash="auto",
            **json.loads(thing.options),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False
    finally:
        datasets.logging.set_verbosity(told)
    return True
