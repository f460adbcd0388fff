"""The report for LaTeX: the tables with booktabs, and the methods paragraph, ready to \\input."""

from __future__ import annotations

from .methods import methods
from .notes import marks
from .report import Report
from .tables import Table, tables

_ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "−": r"$-$", "×": r"$\times$", "–": "--",
    "…": r"\ldots{}",
}  # fmt: skip
_HEAD = "% Made by Joulemark. Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.\n"


def to_latex(report: Report) -> str:
    """A file to input: every table as a float, then the methods paragraph; each caption marks what is not measured."""
    marked = " ".join(f"{line}." for line in marks(report.accounts))
    floats = [_float(table, marked) for table in tables(report)]
    return _HEAD + "\n".join([*floats, f"\\paragraph{{Energy accounting.}} {_text(methods(report))}"]) + "\n"


def _float(table: Table, marked: str) -> str:
    align = "l" * table.words + "".join(
        "l" if name in ("origin", "frontier") else "r" for name in table.columns[table.words :]
    )
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_text(f'{table.title}. {table.caption} {marked}'.strip())}}}",
        f"\\label{{tab:joulemark-{table.key.replace('_', '-')}}}",
        f"\\begin{{tabular}}{{{align}}}",
        "\\toprule",
        _row(table.columns),
        "\\midrule",
        *(_row(row) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(_text(cell) for cell in cells) + r" \\"


def _text(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_ESCAPED.get(character, character) for character in " ".join(text.splitlines()))
