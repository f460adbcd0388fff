"""Lists of tokens of any length on disk: the prompts that a teacher answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

Ids = np.ndarray[Any, np.dtype[np.int32]]


def ragged(arrays: Sequence[Ids]) -> Any:
    """Arrays of any length as one Arrow column, without a Python list of numbers."""
    offsets = np.concatenate([[0], np.cumsum([len(array) for array in arrays])]).astype(np.int32)
    values = np.concatenate([*arrays, np.empty(0, np.int32)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def keep_prompts(prompts: Sequence[Ids], path: Path) -> None:
    """Write prompts as an Arrow file, whole or not at all."""
    partial = path.with_suffix(".partial")
    table = pa.table({"prompt": ragged(prompts)})
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    partial.rename(path)


def read_prompts(path: Path) -> list[Ids]:
    """What was kept."""
    with pa.memory_map(str(path)) as source:
        column = pa.ipc.open_file(source).read_all()["prompt"].combine_chunks()
        offsets, values = column.offsets.to_numpy(), column.values.to_numpy()
        return [values[start:end].copy() for start, end in pairwise(offsets)]
