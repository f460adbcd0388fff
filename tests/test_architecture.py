"""Data flows one way, and imports follow it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPORTER = ROOT / "exporter" / "joulemark"

# From where data comes in to where it goes out: a module imports only from its own layer and those before it.
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
    {"frontier_page"},
    {"settings", "sources"},
    {"ticks", "agreement", "lanes", "power_integral"},
    {"boundary", "gauge"},
    {"attribution"},
    {"schedule", "reader", "windows"},
    {"snapshot"},
    {"state"},
    {"changes", "restart"},
    {"bookings", "kept_runs", "stage_time", "idempotency"},
    {"ledger"},
    {"batch"},
    {"rows", "schema"},
    {"folder_lock", "good_copy"},
    {"ledger_file", "load", "overlay"},
    {"journal", "transfer"},
    {"store"},
    {"prune"},
    {"history"},
    {"imports"},
    {"fleet"},
    {"views"},
    {"meter"},
    {"sampler", "copier"},
    {"exposition"},
    {"containers", "processes"},
    {"page"},
    {"api"},
    {"web"},
    {"serve"},
    {"client", "report"},
    {"integrations"},
    {"doctor"},
    {"cli"},
)
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}


def imports_of(path: Path, package: str) -> set[str]:
    """Modules of the package that a file imports, by their first name."""
    depth = len(path.relative_to(EXPORTER).parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith(f"{package}.")}
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{package}."):
            found.add(node.module.split(".")[1])
    return found


def test_the_exporter_imports_only_towards_the_source() -> None:
    wrong = []
    for path in sorted(EXPORTER.rglob("*.py")):
        module = path.relative_to(EXPORTER).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        for imported in imports_of(path, "joulemark"):
            if imported != module and LAYER_OF[imported] > LAYER_OF[module]:
                wrong.append(f"{path.relative_to(ROOT)} imports {imported}")
    assert wrong == []


def test_the_client_imports_nothing_of_the_exporter_but_names_and_errors() -> None:
    found = {name for path in (EXPORTER / "client").glob("*.py") for name in imports_of(path, "joulemark")}
    assert found == {"errors", "names", "visible_devices"}


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
    {"errors", "terminal", "ranks", "ledger_view"},
    {"config"},
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
