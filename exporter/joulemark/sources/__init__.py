"""Power sources: one file each behind one small interface."""

from .base import Device, Reading, Source, Vitals

__all__ = ["Device", "Reading", "Source", "Vitals"]
