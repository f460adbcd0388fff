"""`joulemark doctor`: measures this machine's meter, judges it, and says how to fix what is wrong."""

from .diagnosis import Diagnosis
from .examine import Plan, examine
from .findings import Finding
from .side_by_side import Progress

__all__ = ["Diagnosis", "Finding", "Plan", "Progress", "examine"]
