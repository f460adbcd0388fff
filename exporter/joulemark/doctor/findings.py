"""What the doctor says: findings, each of a kind that has a meaning and a remedy in `catalogue.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import yaml

Severity = Literal["error", "warning", "info", "ok"]
# From what must be read first to what may be skipped.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info", "ok")


@dataclass(frozen=True)
class Kind:
    """A kind of finding; whoever is warned is always told what to do."""

    id: str
    severity: Severity
    meaning: str
    remedy: str = ""

    def __post_init__(self) -> None:
        assert self.severity in SEVERITIES, self.id
        assert self.remedy or self.severity in ("ok", "info"), self.id


@dataclass(frozen=True)
class Finding:
    """One finding about a subject: a device, a source, a path, an address; "" is the machine as a whole."""

    id: str
    severity: Severity
    subject: str
    found: str
    meaning: str
    remedy: str


def _catalogue() -> Mapping[str, Kind]:
    text = (files(__package__) / "catalogue.yaml").read_text(encoding="utf-8")
    return {name: Kind(name, **fields) for name, fields in yaml.safe_load(text).items()}


CATALOGUE = _catalogue()


def finding(kind: str, subject: str, found: str) -> Finding:
    """A finding of a kind of the catalogue."""
    known = CATALOGUE[kind]
    return Finding(known.id, known.severity, subject, found, known.meaning, known.remedy)
