"""Figures of others, brought into a ledger as runs: the paper's tables, and files that other tools wrote.

Data flows: a file or table -> ImportedRun -> book -> ledger on disk. What an importer cannot know stays absent.
"""

from .book import Booked, book
from .imported_run import ImportedRun, ImportedStage, ImportFailed

__all__ = ["Booked", "ImportFailed", "ImportedRun", "ImportedStage", "book"]
