"""Being told to end, by whoever stops a container, a service, a job or a terminal: an interrupt like Ctrl-C's."""

from __future__ import annotations

import signal

_TOLD_TO_END = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: an interrupt that children have not had, as those of a terminal have."""


def interrupt_when_terminated() -> None:
    """Let SIGTERM and SIGHUP raise Terminated in the main thread: an open stage ends now and not with its lease.

    The first process of a container would not end by SIGTERM at all. What is ignored already, as SIGHUP under nohup,
    stays so.
    """
    for number in _TOLD_TO_END:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> None:
    # To be told again must not break off what ends it; children do not inherit this, as they would ignoring it.
    for each in _TOLD_TO_END:
        signal.signal(each, lambda *_: None)
    raise Terminated(number)
