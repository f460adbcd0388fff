"""Reports of runs: a table, files for other programs, and a page with pictures.

Data flows: records (from the exporter or a ledger) and Prometheus' joules -> rows -> table, tabular, html.
"""

from .rows import Account, Row, accounts_of

__all__ = ["Account", "Row", "accounts_of"]
