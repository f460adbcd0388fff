"""What the workloads say, on one terminal: the first process speaks."""

from __future__ import annotations

import os

from rich.console import Console

console = Console(soft_wrap=True, highlight=False, quiet=os.environ.get("RANK", "0") != "0")
