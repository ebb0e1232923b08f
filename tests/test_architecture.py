"""The house rules that a machine can check: who may import whom, how large things get, who reads the outside world."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
MIDDLE = {"events", "scoring", "delivery", "drift", "rollout"}
MAY_IMPORT = {
    "facts": set(),
    "schemas": set(),
    "local": set(),
    "page": set(),
    "statistics": set(),
    "models": {"schemas"},
    "operations": {"models", "schemas"},
    "events": {"models", "schemas"},
    "scoring": {"events", "models", "schemas"},
    "delivery": {"events", "models", "schemas"},
    "drift": {"events", "models", "page", "schemas", "statistics"},
    "rollout": {"models", "schemas"},
    "training": {"scoring", "models", "schemas", "statistics"},
    "backtest": {"page", "statistics"},
    "engines": {*MIDDLE, "models", "schemas"},
    "batch": {"engines", *MIDDLE, "models", "schemas"},
    "replay": {*MIDDLE, "engines", "models", "schemas"},
    # Adapters implement the Protocols that the inner packages declare, so they look inwards and nobody at them.
    "adapters": {*MIDDLE, "engines", "operations", "replay", "training", "models", "schemas"},
    "testing": {*MIDDLE, "engines", "operations", "models", "schemas"},
}
"""Package to the packages it may import beside itself and the facts (``streaming/*.py``); ``jobs`` may import all."""

JOBS_MAY_IMPORT = {
    "mains": {"command"},
    "command": {"demo", "verbs", "wiring", "configuration", "process"},
    "demo": {"verbs", "wiring", "configuration", "process"},
    "verbs": {"wiring", "terminal", "configuration", "process"},
    "wiring": {"terminal", "configuration", "process"},
    "configuration": set(),
    "process": set(),
    "terminal": set(),
    "build": set(),
}
"""Room of ``jobs`` to the rooms it may import beside itself; a verb may not import another verb."""
MAX_MAIN_LINES = 20

VENDORS = {"confluent_kafka", "mlflow", "kafka"}
SPARK_PACKAGES = {
    "schemas",
    "events",
    "scoring",
    "delivery",
    "drift",
    "rollout",
    "engines",
    "replay",
    "training",
    "batch",
}
WRITER_MODULES = {"streaming/delivery/writer.py", "streaming/delivery/producers.py"}
SPARK_MODULES = {
    "streaming/adapters/session.py",
    "streaming/adapters/mlflow_tracking.py",
    "streaming/adapters/hadoop_files.py",
    "streaming/adapters/drift_state.py",
    "streaming/operations/listener.py",
}
SERVICE_FIXTURES = {"spark", "broker", "make_topic", "tracking_server"}
OUTSIDE_WORLD = {("os", "environ"), ("os", "getenv"), ("sys", "argv")}
OWN_ENTRY_POINTS = {"penstock.py", "streaming/local/leash.py"}
"""Programs by themselves: the command's door, and the process that holds other processes."""

MAX_MODULE_LINES = 300
MAX_PARAMETERS = 5


class Module(NamedTuple):
    path: str
    package: str
    tree: ast.Module
    lines: int


def package_of(path: str) -> str:
    parts = Path(path).with_suffix("").parts
    if parts[0] != "streaming":
        return parts[0]
    if len(parts) > 2:
        return parts[1]
    return "testing" if parts[1] == "testing" else "facts"


def package_of_import(name: str) -> str | None:
    """Return which of our packages a dotted name belongs to, or ``None`` for anyone else's."""
    parts = name.split(".")
    if parts[0] in ("jobs", "schemas"):
        return parts[0]
    if parts[0] != "streaming":
        return None
    if len(parts) == 1 or parts[1] == "testing":
        return "facts" if len(parts) == 1 else "testing"
    return parts[1] if (ROOT / "streaming" / parts[1]).is_dir() else "facts"


def modules() -> list[Module]:
    found = [
        ROOT / "penstock.py",
        *(p for name in ("streaming", "schemas", "jobs") for p in (ROOT / name).rglob("*.py")),
    ]
    result = []
    for file in sorted(found):
        text = file.read_text()
        path = file.relative_to(ROOT).as_posix()
        result.append(Module(path, package_of(path), ast.parse(text), len(text.splitlines())))
    return result


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each imported name, also inside functions and ``if TYPE_CHECKING``, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            if node.module == "streaming":
                yield from ((f"streaming.{alias.name}", node.lineno) for alias in node.names)


MODULES = modules()


def test_every_package_has_its_place_in_the_table() -> None:
    assert {module.package for module in MODULES} - {"jobs", "penstock"} <= set(MAY_IMPORT)


def test_imports_follow_the_arrows() -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package not in ("jobs", "penstock")
        for name, line in imports(module.tree)
        if (target := package_of_import(name)) is not None
        and target not in {"facts", module.package, *MAY_IMPORT[module.package]}
    ]
    assert wrong == []


@pytest.mark.parametrize("table", [MAY_IMPORT, JOBS_MAY_IMPORT], ids=["packages", "rooms of jobs"])
def test_the_table_of_arrows_has_no_cycle(table: dict[str, set[str]]) -> None:
    order: list[str] = []
    left = dict(table)
    while left:
        free = [name for name, needs in left.items() if needs <= set(order)]
        assert free, f"these import each other in a circle: {sorted(left)}"
        order += free
        left = {name: needs for name, needs in left.items() if name not in free}


def room_of(path: str) -> str:
    """Return which room of ``jobs`` a module is in; a verb is a room of its own, and the mains are one.

    >>> room_of("jobs/verbs/batch/run.py"), room_of("jobs/wiring/live.py"), room_of("jobs/score.py")
    ('verbs/batch', 'wiring', 'mains')
    """
    parts = Path(path).with_suffix("").parts[1:]
    if len(parts) < 2:
        return "mains"
    return "/".join(parts[:2]) if parts[0] == "verbs" and len(parts) > 2 else parts[0]


def test_imports_between_the_rooms_of_jobs_follow_the_arrows() -> None:
    """Those inside functions count too; as the table has no circle, nor has ``jobs``."""
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package == "jobs"
        for name, line in imports(module.tree)
        if name.startswith("jobs.")
        and (room := room_of(name.replace(".", "/") + "/x")) != (own := room_of(module.path))
        and room.partition("/")[0] not in JOBS_MAY_IMPORT[own.partition("/")[0]]
    ]
    assert wrong == []


def test_a_main_is_a_door_and_nothing_else() -> None:
    mains = [module for module in MODULES if module.package == "jobs" and module.path.count("/") == 1]
    assert [f"{main.path}: {main.lines} lines" for main in mains if main.lines > MAX_MAIN_LINES] == []
    assert {"jobs/score.py", "jobs/drift.py", "jobs/batch.py", "jobs/train.py", "jobs/replay.py"} <= {
        main.path for main in mains
    }


def test_vendors_clients_stay_in_the_adapters_and_the_writer() -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package not in ("adapters", "jobs", "penstock") and module.path not in WRITER_MODULES
        for name, line in imports(module.tree)
        if name.split(".")[0] in VENDORS
    ]
    assert wrong == []


def test_statistics_need_numbers_alone() -> None:
    """No Spark, no clients and nobody's files, so that everyone may share them."""
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package == "statistics"
        for name, line in imports(module.tree)
        if (root := name.split(".")[0]) not in {*sys.stdlib_module_names, "numpy", "scipy"} and root != "streaming"
    ]
    assert wrong == []


def test_the_laws_of_scipy_are_used_by_the_statistics_alone() -> None:
    """Nobody defines a statistic elsewhere, and no command waits for scipy that needs none."""
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package != "statistics"
        for name, line in imports(module.tree)
        if name.split(".")[0] == "scipy"
    ]
    assert wrong == []


def test_spark_stays_where_frames_are_handled() -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package not in {*SPARK_PACKAGES, "jobs", "penstock"} and module.path not in SPARK_MODULES
        for name, line in imports(module.tree)
        if name.split(".")[0] in ("pyspark", "py4j")
    ]
    assert wrong == []


def test_only_jobs_reads_arguments_and_the_environment() -> None:
    wrong = [
        f"{module.path}:{node.lineno} reads {node.value.id}.{node.attr}"
        for module in MODULES
        if module.package != "jobs" and module.path not in OWN_ENTRY_POINTS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in OUTSIDE_WORLD
    ]
    assert wrong == []


def test_no_module_is_longer_than_its_limit() -> None:
    assert [f"{m.path}: {m.lines} lines" for m in MODULES if m.lines > MAX_MODULE_LINES] == []


def test_no_function_takes_too_many_parameters() -> None:
    """The command line's functions are exempt: their parameters are the options of the verbs."""
    wrong = [
        f"{module.path}:{node.lineno} {node.name} takes {count}"
        for module in MODULES
        if not module.path.startswith("jobs/command/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (count := parameters(node)) > MAX_PARAMETERS
    ]
    assert wrong == []


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_unit_tests_need_no_service_and_no_vendor() -> None:
    wrong = []
    for file in sorted((ROOT / "tests" / "unit").rglob("*.py")):
        tree = ast.parse(file.read_text())
        found = [name for name, _ in imports(tree) if name.split(".")[0] in {*VENDORS, "pyspark"}]
        found += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg in SERVICE_FIXTURES]
        wrong += [f"{file.name} uses {name}" for name in found]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "light"),
    [
        pytest.param("jobs.command.main", ["scipy"], id="the command"),
        pytest.param("jobs.configuration.load", ["scipy"], id="configuration"),
        pytest.param("streaming.models", ["scipy"], id="models"),
        pytest.param("streaming.local", ["scipy"], id="local"),
        pytest.param("streaming.testing", ["scipy"], id="testing"),
        pytest.param("streaming.statistics", ["scipy.stats"], id="statistics"),
    ],
)
def test_importing_it_loads_neither_spark_nor_mlflow(name: str, light: list[str]) -> None:
    """A command that only prints help, and the models' logic, must not wait for them, nor for what is in ``light``."""
    code = (
        "import importlib, pkgutil, sys\n"
        f"root = importlib.import_module('{name}')\n"
        "for found in pkgutil.iter_modules(getattr(root, '__path__', [])):\n"
        f"    found.name == 'leash' or importlib.import_module('{name}.' + found.name)\n"
        f"heavy = {{'pyspark', 'mlflow', 'confluent_kafka', *{light}}} & set(sys.modules)\n"
        "sys.exit(f'{heavy} loaded' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
