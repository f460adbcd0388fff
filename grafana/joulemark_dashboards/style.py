"""The house style: colours, marks and words that are the same on every board."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

# Okabe and Ito's palette: told apart with any colour vision. The report uses the same.
STAGE_COLOURS = {
    "prerun": "#999999",
    "data": "#56B4E9",
    "teacher": "#D55E00",
    "student": "#0072B2",
    "eval": "#009E73",
    "unattributed": "#E0E0E0",
}
UNATTRIBUTED = "unattributed"
# Stages that users named themselves share one colour; their names tell them apart.
OTHER_STAGE = "#CC79A7"
# Energy that was not measured is told apart by its words first, by its colour only as well.
ORIGINS = {
    "measured": ("measured", "#CC79A7"),
    "modelled": ("MODELLED", "#E69F00"),
    "published": ("PUBLISHED", "#F0E442"),
}
GOOD, WARNING, BAD = "#009E73", "#E69F00", "#D55E00"
QUIET = "#999999"
# Words for the reasons that the rules give where there is no break-even.
REASONS = {
    "no_teacher": "nothing to reuse: no teacher energy",
    "unknown_artifact": "unknown: cost of what it consumed",
    "no_student": "none: it trained no student",
    "no_baseline": "unknown: no baseline is known",
    "no_extra_energy": "at once: no dearer than its baseline",
    "no_serving": "unknown: it was not served",
    "no_reference": "unknown: the reference was not served",
    "not_cheaper": "never: it uses no less energy",
}


def fixed(colour: str) -> DynamicConfigValue:
    """One colour, whatever the value."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def words(texts: dict[str, str]) -> DynamicConfigValue:
    """Texts in place of values."""
    return mapped({value: (text, None) for value, text in texts.items()})


def mapped(shown: dict[str, tuple[str, str | None]]) -> DynamicConfigValue:
    """Text and colour in place of values."""
    options = {
        value: {"text": text, "index": place, **({"color": colour} if colour else {})}
        for place, (value, (text, colour)) in enumerate(shown.items())
    }
    return DynamicConfigValue(id_val="mappings", value=[{"type": "value", "options": options}])


def told_by_colour(panel: Any, name: str, shown: dict[str, tuple[str, str | None]]) -> Any:
    """Texts in place of a column's values, each in its colour."""
    coloured = DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})
    return panel.override_by_name(name, [mapped(shown), coloured])


def with_stage_colours(panel: Any) -> Any:
    """Give every stage its own colour, in a panel whose fields are called `STAGE` or `STAGE PHASE`."""
    for stage, colour in STAGE_COLOURS.items():
        panel = panel.override_by_regexp(f"/^{stage}( .*)?$/", [fixed(colour)])
    return panel


def with_origin_marked(panel: Any) -> Any:
    """Say in a table's `origin` column, in words and colour, which figures are not measurements."""
    return panel.override_by_name(
        "origin",
        [
            mapped({name: (text, colour) for name, (text, colour) in ORIGINS.items()}),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}),
        ],
    )


def column(panel: Any, name: str, unit: str = "", decimals: int | None = None, width: int | None = None) -> Any:
    """Unit, decimals and width of one column of a table."""
    properties = {"unit": unit or None, "decimals": decimals, "custom.width": width}
    return panel.override_by_name(
        name, [DynamicConfigValue(id_val=key, value=value) for key, value in properties.items() if value is not None]
    )
