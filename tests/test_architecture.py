"""Data flows one way, and imports follow it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPORTER = ROOT / "exporter" / "joulemark"

# From where data comes in to where it goes out: a module imports only from its own layer and those before it. A folder
# stands for all that is in it, but for modules of it that are named themselves.
LAYERS = (
    {
        "addresses",
        "carbon",
        "cell",
        "errors",
        "factors",
        "gpus",
        "names",
        "clock",
        "metrics",
        "probes",
        "promql",
        "setting_values",
        "visible_devices",
    },
    {"run_record"},
    {"accounting"},
    {"prometheus_runs"},
    {"frontier"},
    {"settings", "sources"},
    {"attribution.beat", "attribution.agreement", "attribution.counter_range", "attribution.recent_power"},
    {"attribution.training"},
    {"attribution.ticks"},
    {"attribution.edges"},
    {"attribution.boundary", "attribution.gauge", "attribution.proof"},
    {"attribution.power_integral", "attribution.counter"},
    {"attribution.booking", "attribution.hand_overs"},
    {"attribution.hole", "attribution.estimate"},
    {"attribution.settling", "attribution.stand_in"},
    {"attribution.coming"},
    {"attribution"},
    {"attribution.pending"},
    {"ledger.lanes", "ledger.windows", "ledger.snapshot"},
    {"ledger.state"},
    {"ledger.changes", "ledger.restart"},
    {"ledger.bookings", "ledger.kept_runs", "ledger.stage_time", "ledger.idempotency"},
    {"ledger"},
    {"disk.batch", "disk.rows", "disk.schema", "disk.folder_lock", "disk.good_copy"},
    {"disk.ledger_file", "disk.load", "disk.overlay"},
    {"disk.journal", "disk.transfer"},
    {"disk.store"},
    {"disk"},
    {"imports"},
    {"meter.schedule", "meter.reader", "meter.timetable", "meter.waiting", "meter.alarm", "meter.durable"},
    {"meter.fleet", "meter.views"},
    {"meter.meter"},
    {"meter"},
    {"exposition"},
    {"containers", "processes"},
    {"api"},
    {"web"},
    {"serve"},
    {"client", "report"},
    {"integrations"},
    {"doctor"},
    {"cli"},
)
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}


def layer_of(module: str) -> int:
    """The layer of a dotted module: its own, or its folder's."""
    own = ".".join(module.split(".")[:2])
    return LAYER_OF.get(own, LAYER_OF.get(own.split(".")[0], -1))


def imports_of(path: Path, package: str) -> set[str]:
    """Modules of the package that a file imports, as dotted names below it."""
    inside = path.relative_to(EXPORTER).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix(f"{package}.") for a in node.names if a.name.startswith(f"{package}.")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            above = inside[: len(inside) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*above, name]) for name in names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{package}."):
            found.add(node.module.removeprefix(f"{package}."))
    return found


def test_the_exporter_imports_only_towards_the_source() -> None:
    wrong = []
    for path in sorted(EXPORTER.rglob("*.py")):
        module = ".".join(path.relative_to(EXPORTER).with_suffix("").parts)
        if module == "__init__":
            continue
        assert layer_of(module) >= 0, f"{module} stands in no layer"
        wrong += [
            f"{path.relative_to(ROOT)} imports {imported}"
            for imported in imports_of(path, "joulemark")
            if layer_of(imported) > layer_of(module)
        ]
    assert wrong == []


def test_the_client_imports_nothing_of_the_exporter_but_names_and_errors() -> None:
    found = {name for path in (EXPORTER / "client").glob("*.py") for name in imports_of(path, "joulemark")}
    assert {name.split(".")[0] for name in found} - {"client"} == {"errors", "names", "visible_devices"}


def test_workloads_know_only_the_client_and_dashboards_only_metrics_and_grids() -> None:
    for folder, allowed in (
        ("workloads/joulemark_workloads", set[str]()),
        ("grafana/joulemark_dashboards", {"metrics", "carbon"}),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("joulemark."):
                    assert (node.module or "").split(".")[1] in allowed, path


# The workloads, in the same way.
WORKLOADS = ROOT / "workloads" / "joulemark_workloads"
WORK_LAYERS = (
    {"errors", "terminal", "termination", "ranks", "ledger_view"},
    {"config"},
    {"hub"},
    {"models", "data"},
    {"teacher", "student"},
    {"evaluation"},
    {"phases", "plan"},
    {"sweep"},
    {"__main__", "stack"},
    {"demo"},
)
WORK_LAYER_OF = {module: number for number, layer in enumerate(WORK_LAYERS) for module in layer}


def test_the_workloads_import_only_towards_the_configuration() -> None:
    wrong = []
    for path in sorted(WORKLOADS.rglob("*.py")):
        module, *inner = path.relative_to(WORKLOADS).parts
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.level != len(inner) + 1:
                continue
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                imported = name.split(".")[0]
                if WORK_LAYER_OF[imported] > WORK_LAYER_OF.get(module.removesuffix(".py"), 0):
                    wrong.append(f"{path.relative_to(ROOT)} imports {imported}")
    assert wrong == []
