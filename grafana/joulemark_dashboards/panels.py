"""Panels in the house style: each with a question, its explanation, a unit, and what to say while there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import barchart, bargauge, stat, statetimeline, table, timeseries, trend, xychart
from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.dashboard import Threshold as Step
from grafana_foundation_sdk.models.xychart import SeriesMapping, XYShowMode

from .targets import DATASOURCE


@dataclass(frozen=True)
class About:
    """What every panel has: `title` is the question, `empty` says what would fill it."""

    title: str
    text: str
    unit: str
    empty: str
    decimals: int | None = None


def number(about: About, *targets: Any, changes: Sequence[DataTransformerConfig] = ()) -> Any:
    """Big figures, one for each field."""
    panel = stat.Panel().graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.NONE)
    panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    panel.text_mode(common.BigValueTextMode.AUTO).text(build.VizTextDisplayOptions().title_size(14).value_size(30))
    return _finished(panel, about, targets, changes)


def rows(about: About, *targets: Any, changes: Sequence[DataTransformerConfig] = ()) -> Any:
    """A table."""
    panel = table.Panel().show_header(True).cell_height(common.TableCellHeight.SM).filterable(True)
    # What would fill the table is for the table as a whole; a cell that cannot be known is a dash.
    panel = panel.override_by_regexp("/.*/", [DynamicConfigValue(id_val="noValue", value="–")])
    return _finished(panel, about, targets, changes)


def curves(about: About, *targets: Any, stacked: bool = False, points: bool = False) -> Any:
    """Values over time; stacked they add up."""
    panel = timeseries.Panel().line_width(1).fill_opacity(70 if stacked else 0).tooltip(_all_values()).legend(_legend())
    panel.show_points(common.VisibilityMode.AUTO if points else common.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(build.StackingConfig().mode(common.StackingMode.NORMAL).group("A")).min(0)
    return _finished(panel, about, targets)


def states(about: About, *targets: Any) -> Any:
    """What holds when, a line for each field."""
    panel = statetimeline.Panel().show_value(common.VisibilityMode.NEVER).row_height(0.8).fill_opacity(85)
    panel.merge_values(True).line_width(0).tooltip(_one_value()).legend(build.VizLegendOptions().show_legend(False))
    return _finished(panel, about, targets)


def bars(about: About, x: str, *targets: Any, changes: Sequence[DataTransformerConfig] = (), stacked: str = "") -> Any:
    """A bar for each row, along the screen because names are long; `stacked` is normal, percent or nothing."""
    panel = barchart.Panel().x_field(x).orientation(common.VizOrientation.HORIZONTAL).full_highlight(True)
    panel.bar_width(0.8).group_width(0.8).fill_opacity(85).line_width(0).show_value(common.VisibilityMode.AUTO)
    panel.legend(_legend()).tooltip(_all_values()).x_tick_label_max_length(32)
    if stacked:
        panel.stacking(common.StackingMode(stacked)).show_value(common.VisibilityMode.NEVER)
    return _finished(panel, about, targets, changes)


def gauges(about: About, *targets: Any, changes: Sequence[DataTransformerConfig] = ()) -> Any:
    """One bar for each field, with its figure."""
    panel = (
        bargauge.Panel().orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    )
    panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)).show_unfilled(True)
    return _finished(panel, about, targets, changes)


def against(about: About, x: str, *targets: Any, changes: Sequence[DataTransformerConfig]) -> Any:
    """Curves over something other than time, whose values must ascend."""
    panel = trend.Panel().x_field(x).line_width(2).show_points(common.VisibilityMode.ALWAYS).point_size(4)
    panel.legend(_legend()).tooltip(_all_values())
    return _finished(panel, about, targets, changes)


def scatter(about: About, x: str, names: Sequence[str], *targets: Any, changes: Sequence[DataTransformerConfig]) -> Any:
    """Points of one table: a series for each of the named columns. Grafana drops a series without frame, x or y."""
    panel = xychart.Panel().mapping(SeriesMapping.MANUAL).series([_series(x, name) for name in names])
    panel.show(XYShowMode.POINTS).legend(_legend()).tooltip(_one_value())
    return _finished(panel, about, targets, changes)


def point_size(pixels: int) -> Any:
    """The size of a scatter's points."""
    return xychart.XychartFieldConfigPointSize().fixed(pixels)


def limits(panel: Any, *steps: tuple[float | None, str]) -> Any:
    """Colours from values on: `(None, colour)` first."""
    made = dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    made.steps([Step(value=value, color=colour) for value, colour in steps])
    return panel.thresholds(made)


def coloured(panel: Any, colour: str) -> Any:
    """One colour for all that no override names."""
    return panel.color_scheme(dashboards.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour))


def told_apart(panel: Any) -> Any:
    """A colour for each field, as different as Grafana has them."""
    return panel.color_scheme(dashboards.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))


def linked(panel: Any, field: str, title: str, url: str) -> Any:
    """A link on the cells of one column."""
    return panel.override_by_name(field, [DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])])


def limit_line() -> Any:
    """Show limits as dashed lines."""
    return build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)


def dashed() -> DynamicConfigValue:
    """A dashed line, for what is no reading."""
    return DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]})


def on_the_right(panel: Any, pattern: str, unit: str) -> Any:
    """Another unit, on an axis of its own, for the fields that match."""
    placed = DynamicConfigValue(id_val="custom.axisPlacement", value="right")
    return panel.override_by_regexp(pattern, [DynamicConfigValue(id_val="unit", value=unit), placed, dashed()])


def _series(x: str, name: str) -> Any:
    def field(matched: str) -> Any:
        return xychart.MatcherConfig().id("byName").options(matched)

    return (
        xychart.XYSeriesConfig()
        .name(xychart.XychartXYSeriesConfigName().fixed(name))
        .frame(xychart.XychartXYSeriesConfigFrame().matcher(xychart.MatcherConfig().id("byIndex").options(0)))
        .x(xychart.XychartXYSeriesConfigX().matcher(field(x)))
        .y(xychart.XychartXYSeriesConfigY().matcher(field(name)))
    )


def _finished(panel: Any, about: About, targets: Sequence[Any], changes: Sequence[DataTransformerConfig] = ()) -> Any:
    panel.title(about.title).description(about.text).unit(about.unit).no_value(about.empty).datasource(DATASOURCE)
    if about.decimals is not None:
        panel.decimals(about.decimals)
    for target in targets:
        panel.with_target(target)
    for change in changes:
        panel.with_transformation(change)
    return panel


def _legend() -> Any:
    return build.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST).placement(
        common.LegendPlacement.BOTTOM
    )  # fmt: skip


def _all_values() -> Any:
    return build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)


def _one_value() -> Any:
    return build.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE)
