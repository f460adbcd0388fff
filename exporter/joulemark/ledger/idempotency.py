"""Transitions that carry an idempotency key: asked again, they are answered again and change nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..errors import InvalidField
from .changes import Changes
from .state import Answered, StageRequest, State
from .windows import Window

# How many are remembered; a retry comes within seconds, not after thousands of transitions.
REMEMBERED = 4096


class Answers:
    """The latest keys with what came of them; on disk too, so that a retry may span a restart."""

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def find(self, key: str, request: StageRequest) -> Answered | None:
        """What came of this key, None when it is new; raises InvalidField when something else was asked with it."""
        known = self._state.answered.get(key)
        if known is not None and known.asked != _text(request):
            raise InvalidField(
                f"Idempotency-Key {key!r} was used for another request",
                field="Idempotency-Key",
                remedy="use a new key for each transition; the same only to retry it",
            )
        return known

    def open_windows(self, prefix: str) -> dict[str, str]:
        """The windows that are open and were begun with a key that begins so: key to window."""
        opened = {window.id for window in self._state.windows.values() if window.is_open}
        answered = self._state.answered.values()
        return {x.key: x.window for x in answered if x.key.startswith(prefix) and x.window in opened}

    def keep(self, key: str, request: StageRequest, window: Window, ended: Sequence[Window]) -> None:
        """Remember what came of a key, and forget the oldest."""
        self._state.answered[key] = Answered(key, _text(request), window.id, tuple(x.id for x in ended))
        self._changes.requests.add(key)
        while len(self._state.answered) > REMEMBERED:
            oldest = next(iter(self._state.answered))
            del self._state.answered[oldest]
            self._changes.requests.add(oldest)


def _text(request: StageRequest) -> str:
    return json.dumps(vars(request), sort_keys=True, default=list)
