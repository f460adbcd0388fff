"""A load on every GPU that PyTorch sees, told by lines on standard input what to do; ends when that closes.

    on              matrix products without pause
    off             nothing
    steps SECONDS   on for so long, off for so long, and so on

Each line is answered by `done` once it is in force. The first line it says is `ready NAME` or `unavailable WHY`.
"""

from __future__ import annotations

import math
import selectors
import sys
import time
from typing import Any

_SIZE = 4096
# Products that are queued at a time: a few milliseconds, so that a change is in force soon.
_BATCH = 10


def main() -> None:
    try:
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError(f"PyTorch {torch.__version__} sees no CUDA GPU")
        pairs = [_matrices(torch, index) for index in range(torch.cuda.device_count())]
        multiply(torch, pairs)
    except (ImportError, RuntimeError) as error:
        print(f"unavailable {error}".replace("\n", " "), flush=True)
        return
    print(f"ready {torch.cuda.get_device_name(0)}", flush=True)
    obey(lambda: multiply(torch, pairs))


def _matrices(torch: Any, index: int) -> list[Any]:
    return [torch.randn(_SIZE, _SIZE, device=f"cuda:{index}", dtype=torch.float16) for _ in range(2)]


def multiply(torch: Any, pairs: list[Any]) -> None:
    for _ in range(_BATCH):
        for a, b in pairs:
            torch.mm(a, b)
    for index in range(len(pairs)):
        torch.cuda.synchronize(index)


def obey(work: Any) -> None:
    """Work and rest as told."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    half, since = math.inf, time.monotonic()
    working = False
    while True:
        phase = int((time.monotonic() - since) / half) if half < math.inf else 0
        at_work = working and phase % 2 == 0
        rest = 0.0 if at_work else min(0.01, half / 20)
        if selector.select(rest):
            line = sys.stdin.readline().split()
            if not line:
                return
            working = line[0] != "off"
            half = float(line[1]) if line[0] == "steps" else math.inf
            since = time.monotonic()
            print("done", flush=True)
        elif at_work:
            work()


if __name__ == "__main__":
    main()
