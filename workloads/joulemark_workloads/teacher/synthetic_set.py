"""What a teacher wrote in answer to prompts, on disk: prompt, response, and where the prompt stood."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from ..data.prompts import ragged
from .artifact import Artifact
from .engine import Engine, Ids, Progress

KIND = "synthetic_set"


def prompts_identity(prompts: Sequence[Ids]) -> str:
    """The content address of prompts in their order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(len(prompt).to_bytes(4, "little") + prompt.astype("<i4").tobytes())
    return "sha256:" + digest.hexdigest()


def by_length(prompts: Sequence[Ids]) -> list[int]:
    """Places of the prompts, longest first: little padding, and what does not fit in memory shows at once."""
    return sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), place))


def fill(
    synthetic: Artifact, shards: list[int], engine: Engine, prompts: Sequence[Ids], progress: Progress, made_by: str
) -> Iterator[int]:
    """Have these shards written and yield the prompt tokens of each once it is safely on disk.

    A shard's seed is its own, so that one that was interrupted gets the same responses when it is made anew.
    """
    order, size = by_length(prompts), int(synthetic.key["prompts_per_shard"])
    for index in shards:
        places = order[index * size : (index + 1) * size]
        asked = [prompts[place] for place in places]
        responses = engine.generate(asked, _seed(int(synthetic.key["seed"]), index), progress)
        table = pa.table(
            {"place": pa.array(places, pa.int32()), "prompt": ragged(asked), "response": ragged(responses)}
        )
        synthetic.append(index, table, sum(map(len, responses)), made_by)
        yield sum(map(len, asked))


def pairs(synthetic: Artifact) -> list[tuple[Ids, Ids]]:
    """Prompt and response, in the order in which the prompts stood."""
    rows = synthetic.read()
    order = np.argsort(rows["place"][:])
    return [
        (np.asarray(rows[int(i)]["prompt"], np.int32), np.asarray(rows[int(i)]["response"], np.int32)) for i in order
    ]


def _seed(seed: int, shard: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{shard}".encode()).digest()[:4], "little")
