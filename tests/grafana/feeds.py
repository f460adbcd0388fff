"""What the boards are looked at with, and what is then empty, each with the reason."""

from __future__ import annotations

from scene import GPU_RUN, LIVE_RUN

LIVE, DEMO, PAPER, MOCK = "the live replayed run", "the demo's ledger", "the published tables", "the mock GPUs"
# The variable `run` of each feed: one run on the board Run, all of them elsewhere.
RUNS = {LIVE: LIVE_RUN, DEMO: "demo-.*", PAPER: "paper-.*", MOCK: GPU_RUN}
ONE_RUN = {**RUNS, DEMO: "demo-kd-2", PAPER: "paper-kd-1b"}

_FACTORS = "no zone and no price are configured for this exporter"
_NO_BOUND = "imported energy has no bound"
_NO_TIME = "an imported run was not here when it ran: no watts, no open stage, no device of these exporters"
_NO_FAULT = "nothing failed"
_NO_OTHER = "no stage has a name of the user's own"
_ONE_STAGE = "it has no stage but student"
_NO_TEACHER = "it has no teacher"
_OTHER_ORIGIN = "runs of this feed are of one origin"
_JUDGED = "the frontier process runs, so every run is judged"

_PARETO = "Which runs does no other beat in energy and quality?"
_VERDICTS = "After how many reuses, and how many served tokens, does distilling pay?"
_AMORTISED = "From how many students on is a shared teacher paid for?"
_THROUGHPUT = "Does training faster cost more energy?"
_TABLE = "What did each run cost, how good is it, and is that measured?"
_STAGES = "What did each stage use, and how sure is that?"
_ESTIMATORS = "Do the two estimators agree?"
_FAULTS = "Were there gaps or faults while it ran?"
_TIMELINE = "Which stage and phase ran when?"
_PHASES = "And each phase?"
_POWER = "What draws the power, and when did stages change?"
_STAGE_FIGURES = "What are the figures behind the bars, and how sure are they?"
_POINT_FIGURES = "What are the figures behind the points?"
_FOOTPRINT = "What would it emit and cost elsewhere?"
_ARTIFACTS = "Which teacher output did it produce and consume?"

Place = tuple[str, str]
_UNTIMED = {
    ("± how much?", "A"): _NO_BOUND,
    (_STAGES, "B"): _NO_BOUND,
    **{(_TIMELINE, ref): _NO_TIME for ref in "ABCDEF"},
    (_PHASES, "B"): _NO_BOUND,
    (_ARTIFACTS, "D"): _NO_BOUND,
    ("How much power did each device draw for it?", "A"): _NO_TIME,
    ("On what hardware, and by which source?", "A"): _NO_TIME,
    **{(_ESTIMATORS, ref): _NO_TIME for ref in "ABCDE"},
    **{(_FAULTS, ref): _NO_TIME for ref in "ABC"},
    ("annotation Stage begins", "Anno"): _NO_TIME,
    ("annotation Gap in reading", "Anno"): _NO_TIME,
    ("annotation Throttled", "Anno"): _NO_TIME,
}
_IMPORTED = {
    ("annotation Stage changes", "Anno"): _NO_TIME,
    (_TABLE, "B"): _NO_BOUND,
    (_STAGE_FIGURES, "B"): _NO_BOUND,
    **{(_POWER, ref): _NO_TIME for ref in "ABCDEF"},
}


_UNBOUNDED = {(_POINT_FIGURES, "B"): _NO_BOUND, (_FOOTPRINT, "B"): _NO_BOUND}


def _other_classes(*refs: str) -> dict[Place, str]:
    return {(_PARETO, ref): _OTHER_ORIGIN for ref in refs}


# Places that are empty for a feed, by board. Whatever is not here must have an answer; whatever is here must not.
EMPTY: dict[tuple[str, str], dict[Place, str]] = {
    ("pipelines", LIVE): {(_TABLE, "F"): _FACTORS, (_TABLE, "G"): _FACTORS, (_POWER, "F"): _NO_OTHER},
    ("pipelines", MOCK): {
        (_TABLE, "F"): _FACTORS,
        (_TABLE, "G"): _FACTORS,
        **{(_POWER, ref): _ONE_STAGE for ref in "ABCEF"},
    },
    ("pipelines", DEMO): _IMPORTED,
    ("pipelines", PAPER): _IMPORTED,
    ("run", LIVE): {
        ("How much CO2e?", "A"): _FACTORS,
        ("What did its energy cost?", "A"): _FACTORS,
        (_TIMELINE, "F"): _NO_OTHER,
        (_FAULTS, "B"): _NO_FAULT,
        (_FAULTS, "C"): _NO_FAULT,
        ("annotation Gap in reading", "Anno"): _NO_FAULT,
        ("annotation Throttled", "Anno"): _NO_FAULT,
    },
    ("run", MOCK): {
        ("How much CO2e?", "A"): _FACTORS,
        ("What did its energy cost?", "A"): _FACTORS,
        ("Net of idle?", "A"): "it ran no prerun and declared no idle power",
        **{(_ARTIFACTS, ref): _NO_TEACHER for ref in "ABCDE"},
        **{(_TIMELINE, ref): _ONE_STAGE for ref in "ABCEF"},
        ("annotation Throttled", "Anno"): "the mock is at its power limit, which is no fault",
    },
    ("run", DEMO): {
        **_UNTIMED,
        (_ARTIFACTS, "A"): "it used what another run had produced",
    },
    ("run", PAPER): {
        **_UNTIMED,
        ("Net of idle?", "A"): "the paper prints no idle baseline",
        (_STAGES, "D"): "the paper prints no times",
        (_STAGES, "E"): "the paper prints no times",
    },
    ("worth_it", LIVE): {
        **_other_classes("B", "C", "D", "F", "G"),
        (_PARETO, "H"): _JUDGED,
        **{(_VERDICTS, ref): "no baseline of its origin" for ref in "BCE"},
        (_AMORTISED, "A"): "no baseline of its origin",
        (_THROUGHPUT, "B"): _OTHER_ORIGIN,
        (_THROUGHPUT, "D"): _OTHER_ORIGIN,
    },
    ("worth_it", MOCK): {
        **_other_classes("C", "D", "E", "F", "G"),
        (_PARETO, "H"): _JUDGED,
        **{(_VERDICTS, ref): _NO_TEACHER for ref in "BCE"},
        (_AMORTISED, "A"): _NO_TEACHER,
        (_THROUGHPUT, "C"): _OTHER_ORIGIN,
        (_THROUGHPUT, "D"): _OTHER_ORIGIN,
    },
    ("worth_it", DEMO): {
        **_other_classes("B", "C", "F", "G"),
        **_UNBOUNDED,
        (_PARETO, "H"): _JUDGED,
        (_THROUGHPUT, "B"): _OTHER_ORIGIN,
        (_THROUGHPUT, "D"): _OTHER_ORIGIN,
    },
    ("worth_it", PAPER): {
        **_other_classes("B", "C", "D", "E"),
        **_UNBOUNDED,
        (_PARETO, "H"): _JUDGED,
        (_VERDICTS, "C"): "one published figure a cell: no spread",
        (_VERDICTS, "E"): "the paper prints no energy of serving",
        **{(_THROUGHPUT, ref): "the paper prints no times" for ref in "ABCD"},
    },
}
