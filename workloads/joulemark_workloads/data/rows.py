"""Texts and conversations, from where the experiment says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import datasets

from ..config.sections import Data
from ..errors import WorkloadError
from .sources import PYTHON_DOCUMENTATION, is_local


class Row(NamedTuple):
    """A response to a prompt; of a plain text the prompt is empty."""

    prompt: str
    response: str


def rows_of(data: Data, tokenizer: Any) -> Iterator[Row]:
    """The rows in a shuffled order that depends on `shuffle_seed` alone; raises WorkloadError where there are none."""
    raw = _raw_rows(data)
    order = list(range(len(raw)))
    random.Random(data.shuffle_seed).shuffle(order)  # noqa: S311  an order, not a secret
    empty = True
    for index in order:
        row = _row(raw[index], tokenizer, data.source)
        if row.response.strip():
            empty = False
            yield row
    if empty:
        raise WorkloadError(f"data source {data.source!r} is empty: it has {len(raw)} rows and none with text in it")


def _raw_rows(data: Data) -> Sequence[Any]:
    if data.source == PYTHON_DOCUMENTATION:
        return [{"text": topics[name]} for name in sorted(topics)]
    if is_local(data.source):
        return _file(Path(data.source))
    name, _, subset = data.source.partition(":")
    try:
        rows: Sequence[Any] = datasets.load_dataset(
            name, subset or None, split=data.split, revision=data.revision, token=False
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise WorkloadError(
            f"data set {data.source!r} is not at hand ({str(error).strip().partition(chr(10))[0][:200]}): give a "
            f".jsonl file, {PYTHON_DOCUMENTATION}, or a hub name where a hub is in reach; "
            "the same command then goes on from here"
        ) from error
    return rows


def _file(path: Path) -> list[Any]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise WorkloadError(f"data file {path} cannot be read ({error.strerror}): see data.source") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise WorkloadError(f"{path}:{number}: is not JSON ({error}): one object a line is expected") from error
    return rows


def _row(raw: Any, tokenizer: Any, source: str) -> Row:
    if isinstance(raw, dict):
        if isinstance(raw.get("messages"), list):
            return _conversation(raw["messages"], tokenizer)
        if isinstance(raw.get("prompt"), str) and isinstance(raw.get("response"), str):
            asked = {"role": "user", "content": raw["prompt"]}
            return _conversation([asked, {"role": "assistant", "content": raw["response"]}], tokenizer)
        if isinstance(raw.get("text"), str):
            return Row("", raw["text"])
    keys = sorted(raw) if isinstance(raw, dict) else type(raw).__name__
    raise WorkloadError(
        f"a row of {source!r} has {keys}: 'text', 'messages', or 'prompt' and 'response' are understood"
    )


def _conversation(messages: list[dict[str, str]], tokenizer: Any) -> Row:
    """The last answer is the response, all that leads to it the prompt, in the model's own chat format."""
    last = next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "assistant"), None)
    if last is None:
        return Row("", "")
    before, response = messages[:last], str(messages[last]["content"])
    if tokenizer.chat_template is None:
        return Row("".join(f"{message['content']}\n\n" for message in before), response)
    return Row(tokenizer.apply_chat_template(before, tokenize=False, add_generation_prompt=True), response)
