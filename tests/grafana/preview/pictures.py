"""One plain picture for each type of panel that draws figures: numbers, gauges, bars, curves, states, points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grafana_code import Drawn, Field, Frame
from matplotlib.axes import Axes

from .tables import INK, MUTED, table
from .ticks import ticked

GRID = "#2c3235"
Size = tuple[float, float]
_LIMIT = "#D55E00"


def stat(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """Big figures side by side."""
    axes.axis("off")
    fields = [frame.fields[-1] for frame in frames]
    for place, field in enumerate(fields):
        x = (place + 0.5) / len(fields)
        named = len(fields) > 1 or panel["options"]["textMode"] == "value_and_name"
        colour = field.colours[-1] if panel["options"]["colorMode"] == "value" else INK
        axes.text(x, 0.5, field.texts[-1], ha="center", va="center", fontsize=19, color=colour or INK)
        if named:
            axes.text(x, 0.12, field.title, ha="center", va="center", color=MUTED)


def bargauge(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """A bar for each field, named, with its figure."""
    axes.axis("off")
    fields = [frame.fields[-1] for frame in frames]
    most = panel["fieldConfig"]["defaults"].get("max") or max(field.values[-1] for field in fields) or 1
    axes.set_xlim(-0.62, 1.28)
    axes.set_ylim(len(fields) - 0.4, -0.6)
    for place, field in enumerate(fields):
        axes.barh(place, 1, color=GRID, height=0.62)
        axes.barh(place, field.values[-1] / most, color=field.colour, height=0.62)
        axes.text(-0.03, place, field.title.strip() or "(none)", ha="right", va="center")
        axes.text(1.03, place, field.texts[-1], ha="left", va="center")


def barchart(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """Stacked bars along the screen, a row for each run."""
    frame = frames[0]
    names, parts = frame.fields[0], frame.fields[1:]
    sums = [sum(_number(part.values[row]) for part in parts) for row in range(frame.length)]
    share = panel["options"]["stacking"] == "percent"
    left = [0.0] * frame.length
    for part in parts:
        long = [_number(v) / (sums[row] or 1) if share else _number(v) for row, v in enumerate(part.values)]
        axes.barh(range(frame.length), long, left=left, color=part.colour, height=0.74, label=part.title)
        left = [a + b for a, b in zip(left, long, strict=True)]
    axes.set_yticks(range(frame.length), [str(name)[:40] for name in names.values])
    axes.invert_yaxis()
    ticked(axes, "x", "percentunit" if share else parts[0].config["unit"])
    _plain(axes, size, left=0.0 if not frame.length else 6.2 * max(len(str(n)[:40]) for n in names.values))
    _legend(axes, size)


def timeseries(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """Curves, or areas on each other, over the last minutes; annotations as lines."""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    end = max(frame.fields[0].values[-1] for frame in frames)
    right: Axes | None = None
    every = sorted({at for frame in frames for at in frame.fields[0].values})
    base = [0.0] * len(every)
    for frame in frames:
        field = frame.fields[1]
        there = dict(zip(frame.fields[0].values, field.values, strict=True))
        target = axes
        if field.config["custom"].get("axisPlacement") == "right":
            right = right or axes.twinx()
            target = right
        if stacked:
            high = [low + _number(there.get(at)) for low, at in zip(base, every, strict=True)]
            times = [(at - end) / 1000 for at in every]
            axes.fill_between(times, base, high, color=field.colour, alpha=0.8, lw=0, label=field.title, step="post")
            base = high
        else:
            dash = "--" if field.config["custom"].get("lineStyle") else "-"
            times = [(at - end) / 1000 for at in there]
            target.plot(
                times, [_number(v) for v in there.values()], dash, color=field.colour, lw=1.2, label=field.title
            )
    _marks(axes, panel, drawn, end)
    _seconds(axes)
    ticked(axes, "y", frames[0].fields[1].config["unit"])
    if panel["fieldConfig"]["defaults"].get("min") == 0:
        axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], custom.get("axisSoftMax", 0)) or 1)
    for step in _limits(panel):
        axes.axhline(step, color=_LIMIT, ls="--", lw=0.8)
    if right:
        right.set_ylim(bottom=0)
        right.tick_params(colors=MUTED, labelsize=7, length=0)
    _plain(axes, size, left=44, right=40 if right else 8)
    _legend(axes, size, right)


def state_timeline(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """A line for each field, filled while its state is not 0."""
    end = max(frame.fields[0].values[-1] for frame in frames)
    names = []
    for place, frame in enumerate(frames):
        time, state = frame.fields
        names.append(state.title.strip()[:44])
        step = (time.values[1] - time.values[0]) / 1000 if frame.length > 1 else 1
        for at, colour in zip(time.values, state.colours, strict=True):
            if colour and colour not in ("transparent", "rgba(0, 0, 0, 0)", "#00000000"):
                axes.barh(place, step * 1.05, left=(at - end) / 1000, color=colour, height=0.72, linewidth=0)
    axes.set_yticks(range(len(frames)), names)
    axes.set_ylim(len(frames) - 0.4, -0.6)
    _marks(axes, panel, drawn, end)
    _seconds(axes)
    _plain(axes, size, left=6.0 * max(len(name) for name in names))


def trend(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """Curves over a number."""
    frame = frames[0]
    across = frame.field(panel["options"]["xField"])
    others = [field for field in frame.fields if field is not across]
    for field in others:
        axes.plot(across.values, field.values, "-o", ms=3, lw=1.6, color=field.colour, label=field.title)
    for step in _limits(panel):
        axes.axhline(step, color=_LIMIT, ls="--", lw=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(across.config["custom"].get("axisLabel", ""))
    ticked(axes, "y", others[0].config["unit"])
    _plain(axes, size, left=40, bottom=48)
    _legend(axes, size, lift=16, lines=2)


def xychart(axes: Axes, panel: dict[str, Any], frames: Sequence[Frame], drawn: Drawn, size: Size) -> None:
    """Points by series, shaped and filled as configured; the nearest name beside each."""
    frame = frames[0]
    across = frame.field(panel["options"]["series"][0]["x"]["matcher"]["options"])
    for name, points in drawn.points[panel["title"]].items():
        if points:
            field = frame.field(name)
            custom = field.config["custom"]
            axes.scatter(
                [x for x, _ in points.values()], [y for _, y in points.values()], s=62, zorder=3, label=name,
                marker="s" if custom.get("pointShape") == "square" else "o",
                facecolors=field.colour if custom.get("fillOpacity") else "none", edgecolors=field.colour, lw=1.6,
            )  # fmt: skip
            for run, (x, y) in points.items():
                axes.annotate(run, (x, y), (6, 4), textcoords="offset points", fontsize=6, color=MUTED)
    if across.config["custom"].get("scaleDistribution", {}).get("type") == "log":
        axes.set_xscale("log")
    axes.set_xlabel(across.config["custom"].get("axisLabel", ""))
    axes.set_ylabel(panel["fieldConfig"]["defaults"]["custom"].get("axisLabel", ""))
    axes.margins(0.14)
    ticked(axes, "x", across.config["unit"])
    ticked(axes, "y", panel["fieldConfig"]["defaults"]["unit"])
    _plain(axes, size, left=58, bottom=48)
    _legend(axes, size, lift=16, lines=2)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _limits(panel: dict[str, Any]) -> list[float]:
    defaults = panel["fieldConfig"]["defaults"]
    if defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off") == "off":
        return []
    return [step["value"] for step in defaults["thresholds"]["steps"] if step["value"] is not None]


def _marks(axes: Axes, panel: dict[str, Any], drawn: Drawn, end: float) -> None:
    for events in drawn.events.values():
        for event in events:
            at = (event["time"] - end) / 1000
            if axes.get_xlim()[0] <= at <= 0 and panel["gridPos"]["w"] >= 12:
                axes.axvline(at, color="#56B4E9", lw=0.7, ls=":")


def _seconds(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s" if value else "now")


def _plain(axes: Axes, size: Size, *, left: float = 30, right: float = 10, bottom: float = 22) -> None:
    """Room for ticks and legend inside the panel, and no more lines than needed."""
    width, tall = size
    box = axes.get_position()
    legend = 20
    axes.set_position((
        box.x0 + box.width * (left + 8) / width,
        box.y0 + box.height * (bottom + legend) / tall,
        box.width * (1 - (left + right + 8) / width),
        box.height * (1 - (bottom + legend + 6) / tall),
    ))  # fmt: skip
    axes.tick_params(colors=MUTED, labelsize=7, length=0)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _legend(axes: Axes, size: Size, other: Axes | None = None, *, lift: float = 0, lines: int = 1) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if other:
        more = other.get_legend_handles_labels()
        handles, labels = handles + more[0], labels + more[1]
    columns = max(1, min(len(labels), int(size[0] / (34 + 5.2 * max((len(text) for text in labels), default=1)))))
    shown = columns * (2 if lines > 1 else 1)
    axes.legend(
        handles[:shown], labels[:shown], loc="upper left", bbox_to_anchor=(-0.02, -(14 + lift) / (size[1] * 0.8)),
        ncols=columns, frameon=False, fontsize=6.6, labelcolor=INK, handlelength=1.1, columnspacing=1.1,
    )  # fmt: skip


DRAW: dict[str, Callable[[Axes, dict[str, Any], Sequence[Frame], Drawn, Size], None]] = {
    "stat": stat, "bargauge": bargauge, "barchart": barchart, "timeseries": timeseries, "trend": trend,
    "state-timeline": state_timeline, "xychart": xychart, "table": table,
}  # fmt: skip
__all__ = ["DRAW", "INK", "MUTED", "Field"]
