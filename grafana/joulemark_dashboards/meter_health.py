"""The board Meter health: whether what is shown elsewhere can be believed."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units

from . import machine_health, panels, variables
from .layout import Board
from .panels import About
from .queries import meter_health as ask
from .style import BAD, GOOD, WARNING, column, mapped, told_by_colour
from .targets import join, latest, over_time, shown, tables

_NO_EXPORTER = "No exporter is scraped: start joulemark serve and give Prometheus its address"
_DEVICE = "{{device}} of {{instance}}"


def build() -> dashboard.Dashboard:
    """The board, panels unnumbered."""
    board = Board(
        "meter_health",
        "Whether the figures can be believed: sources, readings, conservation, leases, ledgers, GPUs, and the cost.",
        variables.source(),
    )
    board.row(4, *((4, panel) for panel in _headlines()))
    board.row(8, (24, _sources()))
    board.row(8, (8, _up()), (8, _latency()), (8, _reads()))
    board.row(8, (8, _gaps()), (8, _errors()), (8, _residual()))
    board.row(8, (8, _disagreement()), (8, _tick()), (8, _unattributed()))
    board.row(8, (14, machine_health.windows()), (10, machine_health.expired()))
    board.row(8, (16, machine_health.ledgers()), (8, machine_health.commits()))
    board.row(8, (8, machine_health.temperature()), (8, machine_health.clock()), (8, machine_health.throttled()))
    board.row(8, (8, machine_health.power()), (8, machine_health.utilisation()), (8, machine_health.memory()))
    board.row(8, (8, machine_health.scrapes()), (8, machine_health.rule_cost()), (8, machine_health.frontier()))
    return board.made


def _headlines() -> list[Any]:
    none = ((None, GOOD), (1, BAD))
    return [
        _headline("Exporters that do not answer?", "Targets of the chosen jobs whose last scrape failed: what they "
                  "show is old, or gone.",
                  units.NoUnit, ask.EXPORTERS_DOWN, none),
        _headline("Devices that cannot be read?", "Devices whose latest reading failed. Their stages gain no joules.",
                  units.NoUnit, ask.DEVICES_DOWN, none),
        _headline("Devices that are read?", "All devices of the chosen exporters; imported ones are not read and not "
                  "in it.", units.NoUnit, ask.DEVICES, ((None, GOOD),)),
        _headline("Joules that do not add up?", "The largest difference between a device's total and the sum of its "
                  "stages. Anything but float rounding is a fault of Joulemark.", units.Joule, ask.WORST_RESIDUAL,
                  ((None, GOOD), (0.001, BAD))),
        _headline("Time without a reading?", "Seconds within the chosen time that no reading covers, all devices "
                  "together. They widen the bound ±.", units.Seconds, ask.GAP_SECONDS_IN_RANGE,
                  ((None, GOOD), (1, WARNING), (60, BAD))),
        _headline("Power that nobody claims?", "Latest power of devices that no stage holds. Idle devices draw some.",
                  units.Watt, ask.UNATTRIBUTED_WATTS, ((None, GOOD),)),
    ]  # fmt: skip


def _headline(title: str, text: str, unit: str, query: str, steps: tuple[tuple[float | None, str], ...]) -> Any:
    panel = panels.number(About(title, text, unit, _NO_EXPORTER), latest("A", query, title.rstrip("?")))
    return panels.limits(panel.color_mode("value"), *steps)


def _sources() -> Any:
    columns = {
        "instance": "exporter", "device": "device", "model": "model", "source": "source", "driver": "driver",
        "Value #B": "read", "Value #C": "last read", "Value #D": "latency", "Value #E": "counter tick",
    }  # fmt: skip
    panel = panels.rows(
        About(
            "What is read, from where, and how well?",
            "Each device with the source of its energy, whether its latest reading succeeded and how long ago that "
            "was, how long it took, and the time between refreshes of its energy counter, measured on this card.",
            units.String,
            _NO_EXPORTER,
        ),
        *tables(ask.SOURCES, ask.KEYED_SOURCE_UP, ask.KEYED_AGE, ask.KEYED_LATENCY, ask.KEYED_TICK),
        changes=[join("key"), *shown(columns)],
    )
    for name in ("last read", "latency", "counter tick"):
        panel = column(panel, name, units.Seconds, None, 110)
    panel = column(panel, "read", units.NoUnit, 0, 80)
    panel = told_by_colour(panel, "read", {"1": ("yes", GOOD), "0": ("no", BAD)})
    return told_by_colour(panel, "source", {name: (f"{name}: MODELLED", WARNING) for name in ("cpu_model", "replay")})


def _curves(title: str, text: str, unit: str, empty: str, query: str, legend: str = _DEVICE) -> Any:
    return panels.told_apart(panels.curves(About(title, text, unit, empty), over_time("A", query, legend)).min(0))


def _up() -> Any:
    panel = panels.states(
        About(
            "When was each device read, and when not?",
            "Green while the latest reading succeeded. A device that is not there at all is blank.",
            units.NoUnit,
            _NO_EXPORTER,
        ),
        over_time("A", ask.SOURCE_UP, _DEVICE),
    )
    return panel.override_by_regexp("/.*/", [mapped({"1": ("read", GOOD), "0": ("not read", BAD)})])


def _latency() -> Any:
    return _curves(
        "How long does a reading take?",
        "Duration of the latest reading of each device. A driver that slows down delays no scrape and no transition, "
        "but places boundaries less exactly.",
        units.Seconds,
        _NO_EXPORTER,
        ask.LATENCY,
    )


def _reads() -> Any:
    return _curves(
        "How often is each device read?",
        "Readings that succeeded, per second: the sample interval, and more around transitions.",
        units.ReadsPerSecond,
        _NO_EXPORTER,
        ask.READS,
    )


def _gaps() -> Any:
    return _curves(
        "When was there no reading?",
        "Seconds that no reading covers, gained within the last few scrapes. Level at 0 is good.",
        units.Seconds,
        _NO_EXPORTER,
        ask.GAPS,
    )


def _errors() -> Any:
    panel = panels.curves(
        About(
            "Which readings failed or broke, and why?",
            "Readings that failed, and readings that could not be joined to those before: reboot, driver reload, reset "
            "counter, absurd step. Gained within the last few scrapes. Each is a gap; no joule is made up for it.",
            units.Short,
            "Good: no reading has failed or broken since the exporters started",
        ),
        over_time("A", ask.ERRORS, f"{_DEVICE}: {{{{reason}}}}"),
        over_time("B", ask.BREAKS, f"{_DEVICE}: break, {{{{reason}}}}"),
    )
    return panels.told_apart(panel.min(0))


def _residual() -> Any:
    panel = panels.curves(
        About(
            "Do the stages add up to each device's total?",
            "|sum of all stages, unattributed and retired included, − the device's total|. Conservation: it is 0 but "
            "for float rounding, or Joulemark is at fault.",
            units.Joule,
            _NO_EXPORTER,
        ),
        over_time("A", ask.RESIDUAL, _DEVICE),
    )
    return panels.told_apart(panel.min(0).axis_soft_max(0.001))


def _disagreement() -> Any:
    panel = _curves(
        "Do energy counter and integrated power agree?",
        "|integrated power / energy counter − 1| over the last minute, by device. More than 5 % for long means that "
        "one of the two sensors is wrong on this card or under this load.",
        units.PercentUnit,
        "No device has two estimators: an NVIDIA GPU with an energy counter has both",
        ask.DISAGREEMENT,
    )
    return panels.limits(panel.axis_soft_max(0.06), (None, GOOD), (0.05, BAD)).thresholds_style(panels.limit_line())


def _tick() -> Any:
    return _curves(
        "How often do energy counters refresh?",
        "Time between refreshes of each energy counter, measured. It bounds how exactly a boundary can be placed: "
        "20 to 100 ms on real cards.",
        units.Seconds,
        "No energy counter has been watched long enough yet",
        ask.TICK,
    )


def _unattributed() -> Any:
    panel = panels.curves(
        About(
            "How much energy did nobody claim?",
            "Energy of each device that no stage claimed, since its ledger began. It grows while a device idles; a "
            "steep rise while GPUs are busy is a job that tells nobody its stage.",
            units.WattHour,
            _NO_EXPORTER,
        ),
        over_time("A", ask.UNATTRIBUTED, _DEVICE),
    )
    return panels.told_apart(panel.min(0))
