"""How fast logits become verified bytes on disk, beside the way that goes through Python lists.

Both get the same logits and keep the same k classes. The lists' way is written here after the description of the
released harness of arXiv 2605.13981: log-softmax over the vocabulary, top k, lists of numbers, a data set made of them,
written, read and written once more as a whole. A GPU is used where there is one: `python benchmarks/logit_cache.py`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import torch

from joulemark_workloads.teacher.artifact import open_artifact
from joulemark_workloads.teacher.logit_cache import KIND, Top, table_of, top_of

BLOCKS, TOKENS, VOCABULARY, TOP_K = 8, 512, 49_152, 100
ROUNDS = 5


def lists_select(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and ids [blocks, tokens, k]."""
    values, ids = torch.topk(torch.log_softmax(logits, dim=-1), TOP_K, dim=-1)
    return values.cpu(), ids.to(torch.int32).cpu()


def lists_write(selected: tuple[torch.Tensor, torch.Tensor], folder: Path) -> int:
    """Through Python lists; the bytes on disk in the end."""
    values, ids = selected
    rows = {"values": [block.tolist() for block in values], "ids": [block.tolist() for block in ids]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(folder / "chunk"))
    whole = datasets.concatenate_datasets([datasets.load_from_disk(str(folder / "chunk"))])
    whole.save_to_disk(str(folder / "whole"))
    return sum(path.stat().st_size for path in (folder / "whole").iterdir())


def arrow_select(logits: torch.Tensor) -> Top:
    """As the teacher phase does it."""
    return Top(*(column.cpu() for column in top_of(logits.flatten(0, 1), TOP_K, 1.0)))


def arrow_write(selected: Top, folder: Path) -> int:
    """As the teacher phase does it: written, synced, read back, its digest compared."""
    cache = open_artifact(folder, KIND, {}, 1)
    return cache.append(0, table_of(selected, VOCABULARY, BLOCKS, "float16"), BLOCKS * TOKENS, "benchmark").bytes


def seconds(work: Callable[[Path], object]) -> float:
    """The best of some rounds, each in an empty folder."""
    best = float("inf")
    for _ in range(ROUNDS):
        folder = Path(tempfile.mkdtemp(prefix="logit-cache-"))
        began = time.perf_counter()
        work(folder)
        best = min(best, time.perf_counter() - began)
        shutil.rmtree(folder)
    return best


def main() -> None:
    """Print the table."""
    datasets.disable_progress_bars()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    logits = 3 * torch.randn(BLOCKS, TOKENS, VOCABULARY, generator=torch.Generator().manual_seed(0)).to(device)
    lists, arrow = lists_select(logits), arrow_select(logits)
    tokens = BLOCKS * TOKENS
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        sizes = (lists_write(lists, Path(one)) / tokens, arrow_write(arrow, Path(other)) / tokens)
    writes = (seconds(lambda folder: lists_write(lists, folder)), seconds(lambda folder: arrow_write(arrow, folder)))
    selects = (seconds(lambda _: lists_select(logits)), seconds(lambda _: arrow_select(logits)))
    print(f"{device}, {torch.get_num_threads()} threads, {tokens} tokens, vocabulary {VOCABULARY}, k {TOP_K}\n")
    print("| from | Python lists, tokens/s | here, tokens/s | ratio |\n|---|---|---|---|")
    for name, (theirs, ours) in (
        ("the k chosen classes to verified bytes", writes),
        ("logits to the k chosen classes", selects),
        ("logits to verified bytes", (writes[0] + selects[0], writes[1] + selects[1])),
    ):
        print(f"| {name} | {tokens / theirs:,.0f} | {tokens / ours:,.0f} | {theirs / ours:.1f} |")
    print(f"\nbytes per token: {sizes[0]:.0f} through lists, {sizes[1]:.0f} here")


if __name__ == "__main__":
    main()
