"""A matrix load on every GPU that PyTorch sees, in a process of its own, until its standard input closes.

    python -m joulemark.doctor.matrix_load

Says one line of JSON first: {"ready": true, …} when the load runs, {"unavailable": "why"} when it cannot.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

_SIZE = 8192
_PRODUCTS_PER_WAIT = 20


def main() -> None:
    """Load until told to stop."""
    threading.Thread(target=_leave_when_told, daemon=True).start()
    try:
        import torch

        if not torch.cuda.is_available():
            _say(unavailable=f"PyTorch {torch.__version__} sees no CUDA GPU")
            return
        pairs = [_matrices(torch, index) for index in range(torch.cuda.device_count())]
        _multiply(torch, pairs)
        uuids = [str(getattr(torch.cuda.get_device_properties(i), "uuid", "")) for i in range(len(pairs))]
    except (ImportError, OSError, RuntimeError) as error:
        _say(unavailable=f"PyTorch cannot be used: {error}")
        return
    _say(ready=True, torch=str(torch.__version__), uuids=[uuid for uuid in uuids if uuid])
    while True:
        _multiply(torch, pairs)


def _matrices(torch: Any, index: int) -> list[Any]:
    # Random values: zeros would draw far less power.
    return [torch.randn(_SIZE, _SIZE, device=f"cuda:{index}", dtype=torch.float16) for _ in range(2)]


def _multiply(torch: Any, pairs: list[list[Any]]) -> None:
    for _ in range(_PRODUCTS_PER_WAIT):
        for a, b in pairs:
            torch.mm(a, b)
    for index in range(len(pairs)):
        torch.cuda.synchronize(index)


def _leave_when_told() -> None:
    # The pipe closes when the doctor is done, and when it dies.
    sys.stdin.read()
    os._exit(0)


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
