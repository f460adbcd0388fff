"""What the workloads refuse to do, with cause and remedy in the message."""

from __future__ import annotations


class WorkloadError(Exception):
    """A phase that cannot run; the message names the cause and the remedy."""
