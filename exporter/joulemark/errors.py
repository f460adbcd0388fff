"""Everything Joulemark raises on purpose.

JoulemarkError
├── RequestError          a request that cannot be carried out; carries field and remedy
│   ├── InvalidField      a value outside what is accepted
│   ├── UnknownName       a run, window or device nobody knows
│   ├── DeviceHeld        another run's window holds the device
│   ├── RunInUse          a run that still has open windows
│   └── LimitReached      more names, windows or facts than may be kept in memory
├── SettingsError         a flag, environment variable or YAML key that cannot be used
├── SourceUnavailable     a power source that this machine does not have
├── ReadFailed            one reading that did not come; carries a short reason
├── EngineAway            a container engine that does not answer, or not to us
├── LedgerError           a ledger that cannot be opened or written
└── ClientError           a call of the client that failed; reaches a job in strict mode only
    ├── ExporterAway      no usable answer came
    └── CallRefused       the exporter refused the call; carries the HTTP status
"""

from __future__ import annotations


class JoulemarkError(Exception):
    """Base of all errors that Joulemark raises on purpose."""


class RequestError(JoulemarkError):
    """A request that was refused and changed nothing: names the field, says what would be accepted."""

    status = 422
    title = "Request refused"

    def __init__(self, detail: str, *, field: str | None = None, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.remedy = remedy


class InvalidField(RequestError):
    """A field whose value is outside what is accepted."""

    title = "Invalid field"


class UnknownName(RequestError):
    """A run, window or device that the ledger has never heard of."""

    status = 404
    title = "Not found"


class DeviceHeld(RequestError):
    """A device that a window of another run holds exclusively."""

    status = 409
    title = "Device held by another run"


class RunInUse(RequestError):
    """A run that cannot be forgotten, as it still has windows."""

    status = 409
    title = "Run in use"


class LimitReached(RequestError):
    """One more would be more than memory and /metrics are bounded to."""

    status = 409
    title = "Limit reached"


class SettingsError(JoulemarkError):
    """A setting that is unknown or impossible; the message names it."""


class SourceUnavailable(JoulemarkError):
    """A power source that this machine does not have; the message says why and what to do."""


class ReadFailed(JoulemarkError):
    """One reading that did not come."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class EngineAway(JoulemarkError):
    """A container engine that does not answer, or not to us; the message says what to do."""


class LedgerError(JoulemarkError):
    """A ledger that cannot be opened or written; the message names the file and the remedy."""


class ClientError(JoulemarkError):
    """A call to the exporter that failed; a job sees it only from a strict client."""


class ExporterAway(ClientError):
    """No usable answer came: nobody there, too late, or not the exporter; the message says which.

    `asked` says whether the call may have reached an exporter all the same.
    """

    def __init__(self, words: str, *, asked: bool = False) -> None:
        super().__init__(words)
        self.asked = asked


class CallRefused(ClientError):
    """The exporter said no; the message has its words and its remedy."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status
