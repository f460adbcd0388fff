"""Whether a hub would deliver: asked of all repositories at once, with an end to the waiting."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable

import datasets
import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .thing import Repository

# The first file that is read of each: what loads it asks for the same.
_FIRST_FILE = {"model": "config.json", "dataset": "README.md"}
_PATIENCE_SECONDS = 5.0
_AT_ONCE = 16


def refusals(repositories: Iterable[Repository]) -> dict[Repository, str]:
    """Why each cannot be had, of those that cannot; offline nothing is asked. Returns in bounded time."""
    asked = list(dict.fromkeys(repositories))
    found: dict[Repository, str | None] = {one: reason for one in asked if (reason := _offline(one))}
    waiting = deque(one for one in asked if one not in found)
    patience = _patience()

    def work() -> None:
        while waiting:
            try:
                repository = waiting.popleft()
            except IndexError:
                return
            found[repository] = _refusal(repository, patience)

    # Not an executor's threads, whose end the interpreter would wait for.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(waiting)))]
    until = time.monotonic() + patience + 0.5
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    waiting.clear()
    answers = {one: found.get(one, _silent(patience)) for one in asked}
    return {one: reason for one, reason in answers.items() if reason}


def _patience() -> float:
    """Seconds for all of them together: the hub client's own setting where one was made."""
    set_by_user = "HF_HUB_ETAG_TIMEOUT" in os.environ
    return float(huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT) if set_by_user else _PATIENCE_SECONDS


def _offline(repository: Repository) -> str | None:
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"
    if repository.kind == "dataset" and datasets.config.HF_HUB_OFFLINE:
        return "HF_DATASETS_OFFLINE is set"
    return None


def _silent(patience: float) -> str:
    return f"no answer in {patience:g} s (HF_HUB_ETAG_TIMEOUT sets how long is waited)"


def _refusal(repository: Repository, patience: float) -> str | None:
    try:
        url = huggingface_hub.hf_hub_url(
            repository.name,
            _FIRST_FILE[repository.kind],
            repo_type=repository.kind,
            revision=repository.revision,
            endpoint=huggingface_hub.constants.ENDPOINT,
        )
        token = None if repository.with_token else False
        huggingface_hub.get_hf_file_metadata(url, token=token, timeout=patience)
    # Whatever the hub's client raises, release by release, is a reason.
    except Exception as error:
        return _reason(repository, error, patience)
    return None


def _reason(repository: Repository, error: Exception, patience: float) -> str | None:
    if isinstance(error, HFValidationError):
        return "no folder here, and no name that a hub can have"
    if isinstance(error, RepositoryNotFoundError):
        what = "gated" if isinstance(error, GatedRepoError) else "not there, or private"
        log_in = "log in with 'hf auth login' or HF_TOKEN" if repository.with_token else "it is read without a login"
        return f"{what}: {log_in}"
    if isinstance(error, RevisionNotFoundError):
        return f"has no revision {repository.revision}"
    if isinstance(error, EntryNotFoundError):
        # A data set need not describe itself; a model without configuration is none.
        return None if repository.kind == "dataset" else "has no config.json"
    if "timeout" in type(error).__name__.lower():
        return _silent(patience)
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__
