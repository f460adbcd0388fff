"""Which names runs, stages, phases and benchmarks may have: one place, for client, API and ledger."""

from __future__ import annotations

import re

from .errors import InvalidField

CANONICAL_STAGES = ("prerun", "data", "teacher", "student", "eval")
TOKEN_KINDS = ("prompt", "generated", "cached", "trained", "evaluated")
UNATTRIBUTED = "unattributed"

RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
STAGE = re.compile(r"[a-z][a-z0-9_]{0,62}")
PHASE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
BENCHMARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")


def check_run(name: str) -> str:
    """Return the run name, or raise InvalidField."""
    return _check(RUN, name, "run", "1 to 128 letters, digits or . _ : @ + -, starting with a letter or digit")


def check_stage(name: str) -> str:
    """Return the stage name, or raise InvalidField; `unattributed` is reserved."""
    if name == UNATTRIBUTED:
        raise InvalidField(
            "stage 'unattributed' is reserved for energy that no window claims",
            field="stage",
            remedy="use one of " + ", ".join(CANONICAL_STAGES) + " or a name of your own",
        )
    rule = "[a-z][a-z0-9_]{0,62}, for example " + ", ".join(CANONICAL_STAGES)
    return _check(STAGE, name, "stage", rule)


def check_phase(name: str) -> str:
    """Return the phase name (empty for none), or raise InvalidField."""
    if name == "":
        return name
    return _check(PHASE, name, "phase", "[a-z0-9][a-z0-9_.-]{0,62}, or leave it out")


def check_benchmark(name: str) -> str:
    """Return the benchmark name, or raise InvalidField."""
    return _check(BENCHMARK, name, "benchmark", "1 to 128 letters, digits or . _ : / @ + -")


def check_token_kind(kind: str) -> str:
    """Return the token kind, or raise InvalidField."""
    if kind not in TOKEN_KINDS:
        raise InvalidField(
            f"token kind {kind!r} is not known",
            field="tokens",
            remedy="use one of " + ", ".join(TOKEN_KINDS),
        )
    return kind


def _check(pattern: re.Pattern[str], name: str, field: str, rule: str) -> str:
    if not pattern.fullmatch(name):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise InvalidField(f"{field} name {shown!r} is not allowed", field=field, remedy=f"use {rule}")
    return name


def anchored(pattern: re.Pattern[str]) -> str:
    """The pattern for a reader that looks for it anywhere in a text, as JSON Schema does."""
    return f"^{pattern.pattern}$"
