"""A FastAPI application under uvicorn beside the reading of `bare_calls`: the least that such an exporter can cost.

    python -m benchmarks.bare_service SECONDS

It books nothing, keeps nothing and is asked nothing. Prints the part of one core that it used: by it, figures of
machines of different speed can be compared.
"""

from __future__ import annotations

import sys
import threading
import time

import uvicorn
from fastapi import FastAPI

from .bare_calls import read_all


def main() -> None:
    seconds = float(sys.argv[1])
    server = uvicorn.Server(uvicorn.Config(FastAPI(), port=0, log_level="error"))

    def read_and_leave() -> None:
        while not server.started:
            time.sleep(0.01)
        print(read_all(seconds))
        server.should_exit = True

    threading.Thread(target=read_and_leave).start()
    server.run()


if __name__ == "__main__":
    main()
