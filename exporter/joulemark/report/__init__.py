"""Reports of runs: a table, files for other programs, and a page with pictures.

Data flows: records (from the exporter or a ledger) and Prometheus' joules -> rows -> table, tabular, html -> files.
Nothing here needs the [report] extra until a page is made.
"""

from ..run_record import RecordError, RunRecord
from .files import ReportError
from .rows import Account, Inherited, Row, accounts_of
from .write import write_report

__all__ = ["Account", "Inherited", "RecordError", "ReportError", "Row", "RunRecord", "accounts_of", "write_report"]
