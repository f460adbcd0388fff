"""Faults of the machine as errors that name cause and remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import huggingface_hub
import torch

from ..errors import WorkloadError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Where the exceptions of the hub's clients come from, whatever their release.
_HUB_CLIENTS = ("huggingface_hub", "httpx", "httpx2", "requests")
# What to ask less of, by phase.
_SMALLER = {
    "teacher": "lower logit_cache.batch_blocks or generation.batch_prompts",
    "student": "lower training.micro_batch_blocks (the effective batch stays), or set training.gradient_checkpointing",
    "eval": "lower evaluation.batch_size or evaluation.serving.sequences",
}


@contextmanager
def explained(phase: str) -> Iterator[None]:
    """Turn running out of memory or disk or losing the hub into a WorkloadError; every other exception passes."""
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
        if _is_of_the_hub(error):
            raise _no_hub(phase, error) from error
        if error.errno not in _FULL:
            raise
        raise WorkloadError(
            f"{phase}: the disk is full ({error}): make room or set --work-dir elsewhere; what is whole is kept, the "
            "next start goes on from there"
        ) from error


def _is_of_the_hub(error: OSError) -> bool:
    """Whether a hub's client is at the bottom of it: transformers wraps what it raised in exceptions of its own."""
    inner: BaseException | None = error
    while inner is not None:
        if type(inner).__module__.partition(".")[0] in _HUB_CLIENTS:
            return True
        inner = inner.__cause__ or inner.__context__
    return False


def _no_hub(phase: str, error: OSError) -> WorkloadError:
    return WorkloadError(
        f"{phase}: the hub at {huggingface_hub.constants.ENDPOINT} did not deliver ({_first_line(error)}): mend the "
        "network, HF_ENDPOINT or the proxy, or give folders; what is on disk is kept, the next start goes on from there"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__


def _out_of_memory(phase: str, error: BaseException) -> WorkloadError:
    remedy = _SMALLER.get(phase, "use a smaller model or fewer tokens a block")
    return WorkloadError(f"{phase}: out of memory ({_first_line(error)}): {remedy}; what is on disk is kept")
