"""Faults of the machine as errors that name cause and remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import WorkloadError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What to ask less of, by phase.
_SMALLER = {
    "teacher": "lower logit_cache.batch_blocks or generation.batch_prompts",
    "student": "lower training.micro_batch_blocks (the effective batch stays), or set training.gradient_checkpointing",
    "eval": "lower evaluation.batch_size or evaluation.serving.sequences",
}


@contextmanager
def explained(phase: str) -> Iterator[None]:
    """Turn running out of memory or disk into a WorkloadError; every other exception passes as it is."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(phase, error) from error
    except RuntimeError as error:
        # PyTorch's allocator on a CPU has no exception class of its own.
        if "can't allocate memory" not in str(error):
            raise
        raise _out_of_memory(phase, error) from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise WorkloadError(
            f"{phase}: the disk is full ({error}): make room or set --work-dir elsewhere; what is whole is kept, the "
            "next start goes on from there"
        ) from error


def _out_of_memory(phase: str, error: BaseException) -> WorkloadError:
    words = str(error).strip().partition("\n")[0][:160] or type(error).__name__
    remedy = _SMALLER.get(phase, "use a smaller model or fewer tokens a block")
    return WorkloadError(f"{phase}: out of memory ({words}): {remedy}; what is on disk is kept")
