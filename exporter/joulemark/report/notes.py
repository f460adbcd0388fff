"""What must be said beside the figures, in words: origin, teacher-side share, inherited energy, what was not seen."""

from __future__ import annotations

from collections.abc import Sequence

from .rows import Account, Inherited

MARKS = {
    "modelled": "MODELLED: computed from CPU utilisation or a script, not measured",
    "published": "PUBLISHED: figures of somebody else's, not measured here",
}


def footnotes(accounts: Sequence[Account]) -> list[str]:
    """One line for each thing that a reader of the figures must know."""
    lines = []
    for account in accounts:
        lines += [*_headline(account), *(_inheritance(account.run, one) for one in account.inherited)]
        lines += _unseen(account)
    return lines + marks(accounts)


def headlines(accounts: Sequence[Account]) -> list[str]:
    """The finding of each run: which share of its energy was teacher-side."""
    return [line for account in accounts for line in _headline(account)]


def caveats(accounts: Sequence[Account]) -> list[str]:
    """What the figures of the table do not hold: inherited energy, stages that Prometheus has not seen."""
    return [
        line
        for account in accounts
        for line in (*(_inheritance(account.run, one) for one in account.inherited), *_unseen(account))
    ]


def marks(accounts: Sequence[Account]) -> list[str]:
    """One line for each origin other than measured, naming its runs."""
    lines = []
    for origin in sorted({account.origin for account in accounts if account.origin in MARKS}):
        named = ", ".join(account.run for account in accounts if account.origin == origin)
        lines.append(f"{MARKS[origin]} ({named})")
    return lines


def _headline(account: Account) -> list[str]:
    if account.teacher_share is None:
        return []
    line = f"{account.run}: {100 * account.teacher_share:.1f} % of its energy is teacher-side"
    if account.inherited:
        line += " (teacher output of another run, not counted here)"
    if account.baseline_ratio is not None:
        line += f"; {account.baseline_ratio:.2f} times the energy of its baseline {account.baseline}"
    if account.quality is not None:
        line += f"; quality Q {account.quality:.2f} of the teacher's"
    return [line]


def _inheritance(run: str, one: Inherited) -> str:
    what = f"{run}: reuses {one.kind} {one.artifact[:19]}"
    if one.maker is None or one.teacher_joules is None:
        return f"{what} that no known run made; what it cost is not known here and not in this run's total"
    return (
        f"{what} that run {one.maker} made; that run's teacher stage used {one.teacher_joules:,.1f} J, "
        "which are not in this run's total"
    )


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
