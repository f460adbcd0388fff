"""The report for LaTeX: the tables with booktabs, and the methods paragraph, ready to \\input.

A table is never wider than the text: long heads are broken, and what is still too wide is scaled down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .methods import methods
from .notes import doubts, marks
from .report import Report
from .tables import Table, tables

_ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "−": r"$-$", "×": r"$\times$", "–": "--",
    "…": r"\ldots{}",
}  # fmt: skip
# What people write otherwise in a paper.
_WRITTEN = (("CO2e", "CO$_2$e"), ("N*", "$N^*$"), ("T*", "$T^*$"))
_HEAD = "% Made by Joulemark. Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,graphicx}.\n"
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
# A head that is longer than this is broken in two.
_HEAD_CHARACTERS = 9


def to_latex(report: Report) -> str:
    """A file to input: every table as a float, then the methods paragraph.

    Each caption marks what is not measured, and below each table stands what puts its joules in doubt.
    """
    marked = " ".join(f"{line}." for line in marks(report.accounts))
    doubted = doubts(report)
    floats = [
        _float(_told_by_caption(table), marked, [] if table.key == "scores" else doubted) for table in tables(report)
    ]
    return _HEAD + "\n".join([*floats, f"\\paragraph{{Energy accounting.}} {_text(methods(report))}"]) + "\n"


def _told_by_caption(table: Table) -> Table:
    """The table without its column of origins where these are all the same: the caption says it."""
    if table.columns[-1] != "origin" or len({row[-1] for row in table.rows}) > 1:
        return table
    return replace(table, columns=table.columns[:-1], rows=tuple(row[:-1] for row in table.rows))


def _float(table: Table, marked: str, notes: Sequence[str]) -> str:
    align = "l" * table.words + "".join(
        "l" if name in ("origin", "frontier") else "r" for name in table.columns[table.words :]
    )
    title = table.title if table.title.endswith("?") else f"{table.title}."
    lines = [
        "\\begin{table}",
        "\\centering\\small\\setlength{\\tabcolsep}{4pt}",
        f"\\caption{{{_text(f'{title} {table.caption} {marked}'.strip())}}}",
        f"\\label{{tab:joulemark-{table.key.replace('_', '-')}}}",
        _FITTED,
        f"\\begin{{tabular}}{{{align}}}",
        "\\toprule",
        " & ".join(_broken(name) for name in table.columns) + r" \\",
        "\\midrule",
        *(_row(row) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}}",
        *(f"\\par\\smallskip\\parbox{{\\linewidth}}{{\\footnotesize\\raggedright {_text(note)}.}}" for note in notes),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _broken(head: str) -> str:
    """A column's head, in two lines of about the same length where it is long."""
    words = head.split(" ")
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    if not halves or len(head) <= _HEAD_CHARACTERS:
        return _text(head)
    first, last = min(halves, key=lambda half: max(map(len, half)))
    return rf"\shortstack[r]{{{_text(first)}\\{_text(last)}}}"


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(_text(cell) for cell in cells) + r" \\"


def _text(text: str) -> str:
    """Text that LaTeX prints as it is."""
    escaped = "".join(_ESCAPED.get(character, character) for character in " ".join(text.splitlines()))
    for plain, written in _WRITTEN:
        escaped = escaped.replace(plain, written)
    return escaped
