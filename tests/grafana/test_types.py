"""The panels' JSON, checked by the TypeScript compiler against the types that Grafana publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from board_files import boards, panels
from grafana_code import NODE, run_node

# Panel types whose field configuration has a type of its own.
FIELD_CONFIGS = {"xychart", "barchart", "table", "timeseries", "trend", "state-timeline"}
_TYPES = "@grafana/schema/dist/types/raw/composable/{}/panelcfg/x/types.gen"
# A type as JSON has it: enumerations are their texts.
_JSON = """
type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
"""  # noqa: E501
# What Prometheus' own annotations have beyond the type of a dashboard.
_PROMETHEUS = {"expr", "step", "target", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
_CONFIG = {
    "compilerOptions": {
        "strict": True, "noEmit": True, "skipLibCheck": True, "target": "es2022", "module": "commonjs",
        "moduleResolution": "node10", "types": [], "ignoreDeprecations": "5.0",
    },
    "include": ["*.ts"],
}  # fmt: skip


def check(folder: Path, shown: list[dict[str, Any]], whole: list[dict[str, Any]] | None = None) -> str:
    """What the compiler says of these panels and boards; nothing when it is content."""
    lines = ["import type { Dashboard } from '@grafana/schema';", _JSON]
    kinds = sorted({panel["type"] for panel in shown})
    lines += [f"import type * as {_name(kind)} from '{_TYPES.format(kind.replace('-', ''))}';" for kind in kinds]
    for number, panel in enumerate(shown):
        kind = _name(panel["type"])
        lines.append(f"export const options{number}: Json<{kind}.Options> = {json.dumps(panel['options'])};")
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if panel["type"] in FIELD_CONFIGS:
            lines.append(f"export const custom{number}: Json<Partial<{kind}.FieldConfig>> = {json.dumps(custom)};")
    lines += [f"export const board{i}: Json<Dashboard> = {json.dumps(one)};" for i, one in enumerate(whole or [])]
    folder.mkdir()
    (folder / "panels.ts").write_text("\n".join(lines))
    (folder / "tsconfig.json").write_text(json.dumps(_CONFIG))
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return run_node("node_modules/typescript/bin/tsc", "-p", str(folder)).stdout


def _name(kind: str) -> str:
    return kind.replace("-", "_")


@pytest.fixture(scope="module")
def shown() -> list[dict[str, Any]]:
    return [panel for board in boards().values() for panel in panels(board)]


def test_options_and_field_configuration_are_of_grafana_s_types(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    whole = list(boards().values())
    for board in whole:
        marks = board["annotations"].get("list", [])
        board["annotations"]["list"] = [{k: v for k, v in mark.items() if k not in _PROMETHEUS} for mark in marks]
    assert check(tmp_path / "all", shown, whole) == ""


def test_a_wrong_option_would_be_found(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    chart = next(panel for panel in shown if panel["type"] == "xychart")
    wrong = {**chart, "options": {**chart["options"], "mapping": "by hand"}}
    assert "'\"by hand\"' is not assignable" in check(tmp_path / "wrong", [wrong])
