"""`python -m joulemark_workloads` as processes of their own that need not load PyTorch anew.

They are forked from a server that has imported the libraries and done nothing else, so they share no state with the
test or with each other: what one leaves for the next is on disk or at the exporter.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from unittest.mock import patch

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["joulemark_workloads.sweep.command", "transformers.trainer", "transformers.models.llama"])
# Read when the libraries are loaded.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200", "TQDM_DISABLE": "1"}


class Forked:
    """One start of the command line; its output goes to a file."""

    def __init__(self, output: Path, *argv: str) -> None:
        with patch.dict(os.environ, _ENVIRONMENT):
            ensure_running()
        self._output = output
        self._process = _FORK.Process(target=_main, args=(str(output), argv))
        self._process.start()

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join(60)

    def terminate(self, seconds: float = 60) -> int | None:
        """SIGTERM; its exit code, once it has ended."""
        self._process.terminate()
        self._process.join(seconds)
        return self._process.exitcode

    def finish(self, seconds: float = 300) -> str:
        """What it wrote, once it has ended well."""
        self._process.join(seconds)
        written = self._output.read_text()
        assert self._process.exitcode == 0, written
        return written


def _main(output: str, argv: tuple[str, ...]) -> None:
    """In the new process: the command line with its output in a file."""
    with Path(output).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from joulemark_workloads.__main__ import main

    sys.argv = ["joulemark_workloads", *argv]
    main()
