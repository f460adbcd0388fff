"""How a diagnosis is shown on a terminal."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..doctor import Diagnosis, Finding
from ..doctor.facts import Comparison, DeviceFacts
from ..doctor.findings import SEVERITIES, Severity

_COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """The devices as a table, every finding, worst first, and the verdict last, where the eye ends up."""
    if diagnosis.devices:
        console.print(_devices(diagnosis.devices))
    for severity in SEVERITIES:
        for finding in diagnosis.of(severity):
            console.print(_finding(finding))
    colour = _COLOURS["ok" if diagnosis.fit else "error"]
    console.print(f"\n[{colour}]{escape(diagnosis.verdict)}[/]", highlight=False)


def _devices(devices: tuple[DeviceFacts, ...]) -> Table:
    table = Table("device", "source", "model", "tick", "jitter", "power by", "watts", "counter against power")
    for facts in devices:
        tick, last = facts.tick, facts.comparisons[-1] if facts.comparisons else None
        table.add_row(
            facts.device.name,
            facts.device.source + (" (modelled)" if facts.device.modelled else ""),
            facts.device.model,
            f"{1e3 * tick.seconds:.1f} ms" if tick and tick.seconds else "-",
            f"{1e3 * tick.jitter_seconds:.2f} ms" if tick and tick.seconds and not tick.declared else "-",
            facts.device.gauge.replace("_", " ") or "counter",
            f"{last.mean_watts:.0f}" if last and last.mean_watts is not None else "-",
            ", ".join(_apart(comparison) for comparison in facts.comparisons if facts.device.gauge) or "-",
        )
    return table


def _apart(comparison: Comparison) -> str:
    ratio = comparison.disagreement_ratio
    condition = comparison.condition.replace("_", " ")
    return f"{condition} not compared" if ratio is None else f"{condition} {100 * ratio:.1f} % apart"


def _finding(finding: Finding) -> RenderableType:
    colour = _COLOURS[finding.severity]
    text = Text.assemble((f"{finding.subject}: ", "bold") if finding.subject else "", finding.found)
    if finding.severity != "ok":
        text.append(f"\n{finding.meaning}", style="dim")
        if finding.remedy:
            text.append(f"\n→ {finding.remedy}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=7, justify="right")
    grid.add_column()
    grid.add_row(Text(finding.severity, style=colour), text)
    return grid
