"""Several processes as one: who is first, and sums over all. One process alone needs no process group."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
from torch import distributed


def rank() -> int:
    """This process's number among all, as torchrun sets it; 0 alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process speaks for all: to the exporter, to the terminal, to the run's folder."""
    return rank() == 0


def join() -> None:
    """Make the process group that torchrun's variables describe; nothing to do for one process."""
    if world_size() > 1 and not distributed.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        # The first process prepares data while the others wait: that may take long.
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(days=1))


def leave() -> None:
    """Take the process group down."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def barrier() -> None:
    """Wait for all."""
    if world_size() > 1:
        distributed.barrier()


def total(count: int) -> int:
    """The sum of everybody's count; every process must call it."""
    if world_size() == 1:
        return count
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensor = torch.tensor(count, dtype=torch.int64, device=device)
    distributed.all_reduce(tensor)
    return int(tensor)


def from_first(value: Any) -> Any:
    """What the first process has, at all of them."""
    if world_size() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
