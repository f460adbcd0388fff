"""What the workloads refuse to do, with cause and remedy in the message.

WorkloadError            a phase that cannot run
└── BudgetSpent          the energy or time that was given is used up; the next start goes on
"""

from __future__ import annotations


class WorkloadError(Exception):
    """A phase that cannot run; the message names the cause and the remedy."""


class BudgetSpent(WorkloadError):
    """The energy or time that was given is used up; what is on disk is kept and the next start goes on from it."""
