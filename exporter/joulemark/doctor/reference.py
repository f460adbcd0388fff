"""The reference of all findings as Markdown; `docs/findings.md` is this text."""

from __future__ import annotations

from .findings import CATALOGUE, Kind


def reference_page() -> str:
    """One row for each kind of finding."""
    head = [
        "# Findings of `joulemark doctor`",
        "",
        "Made from `exporter/joulemark/doctor/catalogue.yaml` by",
        "`python -m joulemark.doctor.reference > docs/findings.md`. Programs may rely on the ids.",
        "",
        "| id | severity | what it means | what to do |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *(_row(kind) for kind in CATALOGUE.values())]) + "\n"


def _row(kind: Kind) -> str:
    cells = (f"`{kind.id}`", kind.severity, kind.meaning, kind.remedy or "-")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(reference_page(), end="")
