"""Reports of runs: tables for a terminal or a paper, files for other programs, pictures, and a page.

Data flows: records (of an exporter, a ledger or Prometheus) -> rows, cells -> report -> tables, pictures -> files.
Nothing here needs the [report] extra until a page or a picture is made.
"""

from ..run_record import RecordError, RunRecord
from .files import ReportError
from .power import PowerCurve, power_curves
from .report import DeviceFacts, Report, make_report
from .rows import Account, Row
from .terminal import print_report
from .write import FORMATS, as_text, write_one, write_report

__all__ = [
    "FORMATS",
    "Account",
    "DeviceFacts",
    "PowerCurve",
    "RecordError",
    "Report",
    "ReportError",
    "Row",
    "RunRecord",
    "as_text",
    "make_report",
    "power_curves",
    "print_report",
    "write_one",
    "write_report",
]
