"""Queries as Grafana wants them, and the transformations that bring their answers together."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .style import STAGE_COLOURS, UNATTRIBUTED

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def instant(ref_id: str, query: str) -> prometheus.Dataquery:
    """A query for the latest values, as a table; its value column is `Value #ref_id` where there are several."""
    return _asked(ref_id, query).instant().format(PromQueryFormat.TABLE)


def over_time(ref_id: str, query: str, legend: str) -> prometheus.Dataquery:
    """A query for curves."""
    return _asked(ref_id, query, legend).range().format(PromQueryFormat.TIME_SERIES)


def latest(ref_id: str, query: str, legend: str) -> prometheus.Dataquery:
    """A query for the latest values, one named field each."""
    return _asked(ref_id, query, legend).instant().format(PromQueryFormat.TIME_SERIES)


def tables(*queries: str) -> list[prometheus.Dataquery]:
    """Several queries for one table: A, B, C, …"""
    return [instant(chr(ord("A") + place), query) for place, query in enumerate(queries)]


def by_stage(
    query: Callable[[str], str], legend: str, *, over: bool, unattributed: bool = False
) -> list[prometheus.Dataquery]:
    """A query for each stage, in the order in which pipelines run; one of all stages that users named themselves.

    `query` makes it of a matcher; `over` time or of the latest values; `unattributed` comes last, where asked for.
    """
    own = [stage for stage in STAGE_COLOURS if stage != UNATTRIBUTED]
    matchers = [*(f'stage="{stage}"' for stage in own), f'stage!~"{"|".join(STAGE_COLOURS)}"']
    matchers += [f'stage="{UNATTRIBUTED}"'] if unattributed else []
    made = over_time if over else latest
    return [made(chr(ord("A") + place), query(matcher), legend) for place, matcher in enumerate(matchers)]


def join(field: str) -> DataTransformerConfig:
    """Tables side by side, one row for each value of the field."""
    return DataTransformerConfig(id_val="joinByField", options={"byField": field, "mode": "outer"})


def shown(columns: dict[str, str]) -> list[DataTransformerConfig]:
    """Only these columns, in this order, under these names."""
    order = {name: place for place, name in enumerate(columns)}
    return [
        DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(columns)}}),
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {},
                "indexByName": order,
                "renameByName": {name: text for name, text in columns.items() if text != name},
            },
        ),
    ]


def matrix(row: str, column: str) -> DataTransformerConfig:
    """A row for each value of one label, a column for each value of another."""
    return DataTransformerConfig(
        id_val="groupingToMatrix",
        options={"columnField": column, "rowField": row, "valueField": "Value", "emptyValue": "null"},
    )


def ordered(first: str, *columns: str, called: str) -> DataTransformerConfig:
    """These columns in this order, whichever are there; others come after. The first gets a plain name."""
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {},
            "indexByName": {name: place for place, name in enumerate((first, *columns))},
            "renameByName": {first: called},
        },
    )


def sorted_by(field: str, *, descending: bool = False) -> DataTransformerConfig:
    """Rows in the order of a column."""
    return DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": field, "desc": descending}]})


def as_numbers(field: str) -> DataTransformerConfig:
    """A label's text as numbers."""
    return DataTransformerConfig(
        id_val="convertFieldType",
        options={"fields": {}, "conversions": [{"targetField": field, "destinationType": "number"}]},
    )


def _asked(ref_id: str, query: str, legend: str = "") -> prometheus.Dataquery:
    found = prometheus.Dataquery()
    found.ref_id(ref_id).expr(query).legend_format(legend).datasource(DATASOURCE)
    return found
