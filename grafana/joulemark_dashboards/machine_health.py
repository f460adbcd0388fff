"""The lower part of the board Meter health: windows, ledgers, GPUs, and what metering costs."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models import units

from . import panels
from .panels import About
from .queries import meter_health as ask
from .style import BAD, GOOD, QUIET, WARNING, column, fixed, mapped, told_by_colour
from .targets import instant, join, over_time, shown, sorted_by, tables

_NO_EXPORTER = "No exporter is scraped: start joulemark serve and give Prometheus its address"
_NO_GPU = "No NVIDIA GPU is read by these exporters"
_DEVICE = "{{device}} of {{instance}}"


def windows() -> Any:
    """Open windows and their leases."""
    columns = {
        "run": "run", "stage": "stage", "phase": "phase", "lease": "lease", "Value": "open for", "instance": "exporter",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "Which stages are open, and does anybody renew their lease?",
            "Windows that hold a device. One with a lease ends by itself when its job dies; one without, set by hand, "
            "takes all energy until somebody ends it.",
            units.Seconds,
            "No stage is open: all energy is unattributed now",
        ),
        instant("A", ask.OPEN_WINDOWS),
        changes=[*shown(columns), sorted_by("open for", descending=True)],
    )
    panel = told_by_colour(panel, "lease", {"held": ("renewed", GOOD), "none": ("none: stays until ended", WARNING)})
    return column(panel, "open for", units.Seconds, 0, 110)


def expired() -> Any:
    """Leases that ran out, and runs that nobody saw the end of."""
    panel = panels.curves(
        About(
            "Did jobs die, or runs leave before a scrape?",
            "Windows closed because nobody renewed their lease, and finished runs that left /metrics before any scrape "
            "had seen their final values (raise --keep-runs). Gained within the last few scrapes; 0 is good.",
            units.Short,
            _NO_EXPORTER,
        ),
        over_time("A", ask.EXPIRED, "leases expired on {{instance}}"),
        over_time("B", ask.UNSEEN, "runs unseen on {{instance}}"),
    )
    return panels.told_apart(panel.min(0).axis_soft_max(1))


def ledgers() -> Any:
    """Whether totals are on disk."""
    columns = {
        "instance": "exporter", "version": "version", "Value #A": "on disk", "Value #B": "rows waiting",
        "Value #C": "last commit", "Value #D": "failed commits", "Value #E": "set aside", "Value #F": "good copy",
        "Value #H": "GPUs present",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "Is each ledger safely on disk?",
            "On disk: no means that totals are in memory only and a kill would lose them. Set aside counts damaged "
            "ledger files that were replaced by the last good copy, whose age is beside it. GPUs present are those "
            "that the machine shows, read or not.",
            units.NoUnit,
            _NO_EXPORTER,
            0,
        ),
        *tables(
            ask.LEDGER_UP, ask.LEDGER_WAITING, ask.LEDGER_COMMIT, ask.LEDGER_FAILURES, ask.LEDGER_SET_ASIDE,
            ask.LEDGER_COPY_AGE, ask.VERSION, ask.GPUS_PRESENT,
        ),
        changes=[join("instance"), *shown(columns)],
    )  # fmt: skip
    panel = told_by_colour(panel, "on disk", {"1": ("yes", GOOD), "0": ("NO", BAD)})
    panel = column(panel, "last commit", units.Seconds, 1)
    return column(panel, "good copy", units.Seconds, 0)


def commits() -> Any:
    """How long the disk takes."""
    return _curves(
        "How long does a commit take?",
        "Duration of the latest commit of each ledger. More than a second delays transitions and heartbeats.",
        units.Seconds,
        _NO_EXPORTER,
        ask.LEDGER_COMMIT,
        "{{instance}}",
    )


def temperature() -> Any:
    """How hot."""
    return _curves(
        "How hot are the GPUs?",
        "GPU temperature. Hot silicon draws more for the same work, so runs back to back are not quite comparable.",
        units.Celsius,
        _NO_GPU,
        ask.TEMPERATURE,
    )


def clock() -> Any:
    """How fast."""
    return _curves(
        "At which clock do they run?",
        "Clock of the streaming multiprocessors. Joules of runs at different clocks do not compare.",
        units.Hertz,
        _NO_GPU,
        ask.CLOCK,
    )


def throttled() -> Any:
    """What slows them down."""
    panel = panels.states(
        About(
            "Were they throttled, and for what reason?",
            "Filled while the driver says that it slows the card down; reasons that were given within this time. "
            "sw_power_cap, running at the power limit, is how a loaded card works and no fault; heat and power supply "
            "are.",
            units.NoUnit,
            "Good: no GPU was throttled within this time, or none is read",
        ),
        over_time("A", ask.THROTTLED, f"{_DEVICE}: {{{{reason}}}}"),
    )
    free = ("free", "transparent")
    panel = panel.override_by_regexp("/.*/", [mapped({"1": ("throttled", BAD), "0": free})])
    return panel.override_by_regexp("/sw_power_cap$/", [mapped({"1": ("at its power limit", QUIET), "0": free})])


def power() -> Any:
    """How near to the limit."""
    panel = panels.curves(
        About(
            "How near to their power limit are they?",
            "Latest power of each device, and of GPUs the limit that the driver enforces, dashed.",
            units.Watt,
            _NO_EXPORTER,
        ),
        over_time("A", ask.POWER, _DEVICE),
        over_time("B", ask.POWER_LIMIT, f"limit of {_DEVICE}"),
    )
    return panels.told_apart(panel.min(0)).override_by_regexp("/^limit of /", [panels.dashed(), fixed(BAD)])


def utilisation() -> Any:
    """How busy."""
    panel = _curves(
        "How busy are they?",
        "Share of time with a kernel running, as the driver says. Not how well the kernel uses the card.",
        units.PercentUnit,
        _NO_GPU,
        ask.UTILISATION,
    )
    return panel.max(1)


def memory() -> Any:
    """How full."""
    return _curves(
        "How much GPU memory is in use?",
        "Memory in use on each GPU, by all processes, as the driver says. Not what a job asked for.",
        units.BytesIEC,
        _NO_GPU,
        ask.MEMORY,
    )


def scrapes() -> Any:
    """What scraping costs."""
    panel = panels.curves(
        About(
            "What does a scrape cost?",
            "Duration of each scrape of the chosen exporters, and how many samples it brought (right axis). Longer "
            "than the scrape interval means that values are missing: keep fewer runs (--keep-runs), or scrape less.",
            units.Seconds,
            _NO_EXPORTER,
        ),
        over_time("A", ask.SCRAPE_SECONDS, "{{instance}}"),
        over_time("B", ask.SCRAPE_SAMPLES, "samples of {{instance}}"),
    )
    return panels.on_the_right(panels.told_apart(panel.min(0)), "/^samples of /", units.Short)


def rule_cost() -> Any:
    """What the rules cost."""
    panel = panels.curves(
        About(
            "What do the recording rules cost?",
            "Duration of the latest evaluation of each group of Joulemark's rules, and evaluations that failed. A "
            "group that takes longer than its interval falls behind.",
            units.Seconds,
            "Prometheus does not scrape itself: keep the job prometheus of prometheus/prometheus.yml",
        ),
        over_time("A", ask.RULE_SECONDS, "{{group}}"),
        over_time("B", ask.RULE_FAILURES, "failed evaluations"),
    )
    return panels.on_the_right(panels.told_apart(panel.min(0)), "/^failed evaluations$/", units.Short)


def frontier() -> Any:
    """What the frontier costs."""
    return _curves(
        "Does the frontier follow, and what does it cost?",
        "Time that joulemark frontier took to ask Prometheus at its latest scrape. Without it, points of Was it worth "
        "it? are not judged.",
        units.Seconds,
        "joulemark frontier is not scraped, or cannot reach Prometheus: joulemark frontier --prometheus URL",
        ask.FRONTIER_SECONDS,
        "frontier",
    )


def _curves(title: str, text: str, unit: str, empty: str, query: str, legend: str = _DEVICE) -> Any:
    return panels.told_apart(panels.curves(About(title, text, unit, empty), over_time("A", query, legend)).min(0))
