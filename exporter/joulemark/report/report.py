"""A whole report: what every form of it (table, file, page, picture) is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from ..accounting import Artifact, artifacts_of
from ..errors import UnknownName
from ..factors import Factors
from ..prometheus_runs import StageKey
from ..run_record import RunRecord
from .cells import Cell, cells
from .compare import Comparison, compare
from .power import PowerCurve
from .rows import Account, accounts_of
from .scores import untrained


@dataclass(frozen=True)
class DeviceFacts:
    """A device as the exporter describes it; the tick is None where nobody measured it or it was not told."""

    device: str
    source: str
    model: str = ""
    driver: str = ""
    tick_seconds: float | None = None


@dataclass(frozen=True)
class Report:
    """The reported runs with all that follows; `read_from` says in words where their joules were read."""

    accounts: tuple[Account, ...]
    cells: tuple[Cell, ...]
    artifacts: tuple[Artifact, ...]
    devices: tuple[DeviceFacts, ...] = ()
    factors: Factors = field(default_factory=Factors)
    curves: tuple[PowerCurve, ...] = ()
    comparison: Comparison | None = None
    read_from: str = ""
    # The students before training, as their own runs scored them.
    untrained: tuple[RunRecord, ...] = ()

    @property
    def compared(self) -> bool:
        """Whether Prometheus' own joules stand beside the ledger's."""
        return any(account.compared for account in self.accounts)

    @property
    def version(self) -> str:
        """The joulemark that made it."""
        return version("joulemark")


def make_report(
    names: Sequence[str],
    records: Mapping[str, RunRecord | Mapping[str, object]],
    *,
    prometheus: Mapping[StageKey, float] | None = None,
    devices: Sequence[DeviceFacts] = (),
    factors: Factors | None = None,
    curves: Sequence[PowerCurve] = (),
    compared_runs: tuple[str, str] | None = None,
    read_from: str = "",
) -> Report:
    """The report on the named runs; raises RecordError on a malformed record, UnknownName on a run not in `records`.

    `records` holds every run that is known: baselines and makers of artifacts count though they are not reported.
    """
    wanted = dict.fromkeys([*names, *(compared_runs or ())])
    for name in wanted:
        if name not in records:
            known = ", ".join(sorted(records)) or "none yet"
            raise UnknownName(f"no run {name!r} here; known: {known}", remedy="name one of the known runs")
    accounts = {account.run: account for account in accounts_of(list(wanted), records, prometheus)}
    reported = [accounts[name] for name in dict.fromkeys(names)]
    parsed = [r if isinstance(r, RunRecord) else RunRecord.from_json(r) for r in records.values()]
    touched = {one.artifact for account in reported for one in account.record.artifacts}
    used = {device for account in reported for device in account.devices}
    made = cells(reported)
    return Report(
        accounts=tuple(reported),
        cells=tuple(made),
        artifacts=tuple(one for name, one in sorted(artifacts_of(parsed).items()) if name in touched),
        devices=tuple(one for one in devices if one.device in used),
        factors=factors or Factors(),
        curves=tuple(curves),
        comparison=compare(*(accounts[name] for name in compared_runs)) if compared_runs else None,
        read_from=read_from,
        untrained=untrained(made, {one.run: one for one in parsed}),
    )
