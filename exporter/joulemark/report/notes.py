"""What must be said beside the figures, in words: origin, teacher-side share, reuse, what is missing or in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from ..accounting import ONE_OFF, Artifact
from ..attribution.agreement import ALERT_RATIO
from .compare import explained
from .estimators import apart
from .numbers import amount, digits
from .report import Report
from .rows import TOTAL, Account

MARKS = {
    "modelled": "MODELLED: computed from CPU utilisation or a script, not measured",
    "published": "PUBLISHED: figures of somebody else's, not measured here",
}


def footnotes(report: Report) -> list[str]:
    """One line for each thing that a reader of the figures must know."""
    compared = explained(report.comparison) if report.comparison else []
    return [*compared, *headlines(report), *caveats(report), *marks(report.accounts)]


def headlines(report: Report) -> list[str]:
    """The finding of each run: which share of its energy was teacher-side, against its baseline, and when it pays."""
    return [line for account in report.accounts for line in _headline(account)]


def caveats(report: Report) -> list[str]:
    """What the figures do not hold, or what puts them in doubt."""
    lines = [_reuse(artifact) for artifact in report.artifacts]
    for account in report.accounts:
        lines += [*_unseen(account), *_disagreeing(account), *_missing_benchmarks(account)]
    single = [cell.name for cell in report.cells if cell.single]
    if single and len(single) < len(report.cells):
        lines.append(f"one run only, so no spread: {', '.join(single)}")
    return lines


def marks(accounts: Sequence[Account]) -> list[str]:
    """One line for each origin other than measured, naming its runs."""
    lines = []
    for origin in sorted({account.origin for account in accounts if account.origin in MARKS}):
        named = [account.run for account in accounts if account.origin == origin]
        lines.append(f"{MARKS[origin]} ({'all runs' if len(named) == len(accounts) > 1 else ', '.join(named)})")
    return lines


def _headline(account: Account) -> list[str]:
    figures, bill = account.figures, account.figures.bill
    parts = []
    if account.teacher_share:
        parts.append(f"{100 * account.teacher_share:.1f} % of its energy is teacher-side")
    if bill.one_off is not None and bill.one_off > bill.as_run:
        full = amount(bill.one_off, bill.uncertainty_joules(ONE_OFF))
        parts.append(f"{full} with the teacher output that it took from other runs")
    if figures.baseline_joules and bill.one_off is not None:
        ratio = bill.one_off / figures.baseline_joules
        parts.append(f"{ratio:.2f} times the energy of its baseline {', '.join(figures.baselines)}")
    if figures.reuses.value is not None:
        parts.append(f"pays off from {digits(figures.reuses.value)} students on")
    if figures.quality.value is not None:
        parts.append(f"quality Q {figures.quality.value:.2f} of the teacher's")
    whole = amount(bill.as_run, account.total.uncertainty_joules)
    return [f"{account.run}: {'; '.join([whole, *parts])}"] if bill.as_run else []


def _reuse(artifact: Artifact) -> str:
    what = f"{artifact.kind} {artifact.name[:19]}"
    users = f"used by {len(artifact.users)} run{'' if len(artifact.users) == 1 else 's'}"
    users += f" ({', '.join(artifact.users)})" if artifact.users else ""
    if artifact.joules is None:
        return f"{what}: {users}; no known run made it, so what it cost is not known and is in no total"
    cost = amount(artifact.joules, artifact.uncertainty_joules)
    return f"{what}: made by {', '.join(artifact.makers)} for {cost}; {users}"


def _unseen(account: Account) -> list[str]:
    if not account.compared:
        return []
    unseen = [row for row in account.rows if row.prometheus_joules is None]
    if not unseen:
        return []
    if len(unseen) == len(account.rows):
        return [f"{account.run}: Prometheus has no sample of this run"]
    names = ", ".join(f"{row.stage}/{row.phase}" if row.phase else row.stage for row in unseen)
    return [f"{account.run}: Prometheus has no sample of {names}, so its total is not compared"]


def doubts(report: Report) -> list[str]:
    """What puts its joules in doubt, and not only the reading of them: estimators that disagree."""
    return [line for account in report.accounts for line in _disagreeing(account)]


def _disagreeing(account: Account) -> list[str]:
    """Stages, and the run as a whole, whose two estimators are further apart than anybody should take on trust."""
    return [
        f"{account.run}: energy counter and sampled power disagree by {100 * one.ratio:.1f} % "
        f"in {'the run as a whole' if one.stage == TOTAL else one.stage} on {', '.join(one.devices)} "
        f"(more than {100 * ALERT_RATIO:.0f} % and what sampling explains): "
        "find out which is right before these joules are published"
        for one in apart(account.record)
    ]


def _missing_benchmarks(account: Account) -> list[str]:
    quality = account.figures.quality
    if not quality.missing or not quality.used:
        return []
    return [
        f"{account.run}: Q is over {', '.join(quality.used)} alone, without {', '.join(quality.missing)}; "
        "compare it only with a Q over the same"
    ]
