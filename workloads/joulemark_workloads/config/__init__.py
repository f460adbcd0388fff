"""One YAML file describes an experiment; it is read and checked once, here, into frozen objects."""

from .grid import Cell, artifact_facts, cells_of
from .phases import PHASES, phases_of
from .read import Document, read_document
from .sections import Experiment, Pipeline

__all__ = [
    "PHASES",
    "Cell",
    "Document",
    "Experiment",
    "Pipeline",
    "artifact_facts",
    "cells_of",
    "phases_of",
    "read_document",
]
