"""How the client speaks to people: a warning in an outage, a line at the end; it never raises."""

from __future__ import annotations

import contextlib
import sys
import warnings


def warn(text: str) -> None:
    """A RuntimeWarning; where warnings are errors, a line on stderr instead, as no job may end by it."""
    try:
        warnings.warn(f"joulemark: {text}", RuntimeWarning, stacklevel=2)
    except RuntimeWarning as warning:
        say(str(warning))


def say(text: str) -> None:
    """A line on stderr, where there is one: jobs silence warnings, and this must be seen."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr, flush=True)
