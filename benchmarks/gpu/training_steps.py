"""Trains a small network for some seconds and prints the time of each step in milliseconds, one a line.

python -m benchmarks.gpu.training_steps DEVICE SECONDS        DEVICE is cuda or cpu
"""

from __future__ import annotations

import sys
import time

import torch

# Steps at the start that compile and allocate.
_WARM_UP = 10


def main() -> None:
    device, seconds = sys.argv[1], float(sys.argv[2])
    width, batch = (4096, 2048) if device == "cuda" else (256, 64)
    torch.manual_seed(0)
    # A thread for each core would measure who else wants the cores.
    torch.set_num_threads(1)
    layers = [module for _ in range(8) for module in (torch.nn.Linear(width, width), torch.nn.GELU())]
    network = torch.nn.Sequential(*layers).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    data = torch.randn(batch, width, device=device)
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 2 * _WARM_UP:
        began = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(network(data), data)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - began) * 1e3)
    print("\n".join(f"{x:.6f}" for x in times[_WARM_UP:]))


if __name__ == "__main__":
    main()
