"""Writes the files of a report: each is whole or is not there, and an older one stays until the new one is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import JoulemarkError


class ReportError(JoulemarkError):
    """A report that cannot be made or written; the message names cause and remedy."""


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write the named files into `folder`, made if need be, and return their paths; raises ReportError."""
    paths = [folder / name for name in contents]
    partials = [path.with_name(f".{path.name}.partial") for path in paths]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for partial, content in zip(partials, contents.values(), strict=True):
            partial.write_bytes(content)
        for partial, path in zip(partials, paths, strict=True):
            partial.replace(path)
    except OSError as error:
        _discard(partials)
        raise ReportError(f"{folder} cannot be written ({error.strerror}): name another by --output") from error
    return paths


def _discard(partials: list[Path]) -> None:
    for partial in partials:
        try:
            partial.unlink()
        except OSError:
            # The folder is unusable already, and that is what gets reported.
            continue
