"""The house rules that a machine can check: who may import whom, how large things get, who reads the outside world."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VERBS = ROOT / "jobs" / "verbs"
MIDDLE = {"events", "scoring", "outputs", "delivery", "ledger", "rollout"}
MAY_IMPORT = {
    "facts": set(),
    "settings": set(),
    "schemas": set(),
    "local": set(),
    "accounting": {"schemas"},
    "page": set(),
    "spark": set(),
    "statistics": set(),
    "models": {"settings", "schemas"},
    "operations": {"models", "schemas", "spark"},
    "events": {"settings", "models", "schemas"},
    "formats": {"settings", "events", "models", "schemas"},
    "scoring": {"settings", "events", "formats", "models", "schemas", "spark"},
    "lookup": {"settings", "formats", "events", "models", "schemas"},
    "export": {"settings", "scoring", "formats", "events", "models"},
    "serving": {"settings", "models", "scoring", "events", "outputs", "rollout", "shadow", "operations", "schemas"},
    "outputs": {"events", "models", "schemas", "spark"},
    "delivery": {"outputs"},
    "ledger": {"outputs", "delivery", "models", "rollout"},
    "rollout": {"models", "schemas", "statistics"},
    "training": {"settings", "scoring", "events", "models", "schemas", "spark", "statistics"},
    "backtest": {"page", "schemas", "statistics"},
    "quality": {"backtest", "page", "schemas", "statistics"},
    "rollout_report": {"backtest", "judging", "models", "page", "quality", "rollout", "schemas", "statistics"},
    "judging": {"quality", "backtest", "ledger", "rollout", "outputs", "models", "schemas", "statistics"},
    "shadow": {"events", "models", "outputs", "rollout", "schemas", "scoring"},
    "engines": {*MIDDLE, "models", "schemas", "spark"},
    "drift": {"engines", "events", "models", "page", "schemas", "statistics"},
    "batch": {"settings", "engines", *MIDDLE, "models", "schemas", "spark"},
    "replay": {"settings", *MIDDLE, "engines", "backtest", "models", "schemas"},
    # Adapters implement the Protocols that the inner packages declare, so they look inwards and nobody at them.
    "adapters": {
        "settings",
        *MIDDLE,
        "engines",
        "drift",
        "operations",
        "replay",
        "backtest",
        "quality",
        "rollout_report",
        "judging",
        "shadow",
        "lookup",
        "serving",
        "training",
        "models",
        "schemas",
        "spark",
    },
    "testing": {*MIDDLE, "engines", "operations", "models", "schemas"},
}
"""Package to the packages it may import beside itself and the facts (``streaming/*.py``); ``jobs`` may import all."""

JOBS_MAY_IMPORT = {
    "mains": {"command"},
    "command": {"demo", "verbs", "wiring", "terminal", "configuration", "process"},
    "demo": {"verbs", "wiring", "configuration", "process"},
    "verbs": {"wiring", "terminal", "configuration", "process"},
    "wiring": {"terminal", "configuration", "process"},
    "configuration": set(),
    "process": set(),
    "terminal": {"configuration"},
    "build": set(),
}
"""Room of ``jobs`` to the rooms it may import beside itself; a verb may not import another verb."""
VERB_PARTS = {"options", "run", "display"}
"""The modules of a verb's folder by which the command line enters it: what is asked, the work, how it is shown."""
SECOND_VERBS = {
    "dlq/replay",
    "drift/baseline",
    "drift/report",
    *(f"rollout/{verb}" for verb in ("plan", "order", "status", "judge", "repair", "report")),
}
"""Verbs that share a folder with another one, each with its work in a module of its own name."""
SHOWING = ("rich.table", "rich.text", "rich.progress")
MAX_MAIN_LINES = 20

SPARK_PACKAGES = {
    "spark",
    "schemas",
    "events",
    "scoring",
    "outputs",
    "drift",
    "rollout",
    "engines",
    "replay",
    "training",
    "batch",
}
WRITER_MODULES = tuple(f"streaming/delivery/{name}.py" for name in ("writer", "transaction", "producers"))
VENDORS = {
    "confluent_kafka": ("streaming/adapters/kafka/", "streaming/accounting/load.py", *WRITER_MODULES),
    "kafka": ("streaming/accounting/subscriber.py",),
    "redis": ("streaming/adapters/redis/",),
    "mlflow": ("streaming/adapters/mlflow/", "streaming/scoring/code/child.py"),
}
"""A vendor's client to the folders and modules that may import it."""
SPARK_MODULES = {
    "streaming/adapters/session.py",
    "streaming/adapters/mlflow/tracking.py",
    "streaming/adapters/kafka/replay_source.py",
    "streaming/adapters/drift_state.py",
    "streaming/operations/listener.py",
}
SPARK_IN_ANNOTATIONS = {"streaming/models/seams.py", "streaming/models/served.py"}
"""What a version carries is typed by frames of Spark; at run time, nothing of it is imported here."""
SERVICE_FIXTURES = {"spark", "broker", "make_topic", "tracking_server"}
OUTSIDE_WORLD = {("os", "environ"), ("os", "getenv"), ("sys", "argv")}
OWN_ENTRY_POINTS = {"penstock.py", "streaming/local/leash.py", "streaming/spark/rehearsal.py"}
"""Programs by themselves: the command's door, the process that holds others, and a run that an archive is made of."""

MAX_MODULE_LINES = 300
MAX_PARAMETERS = 5
MAX_POSITIONAL = 4

FILLERS = {"found", "place", "one", "told", "kept", "known", "words", "given", "left", "wanted", "said", "what", "rest"}
"""Names that say nothing of what they hold."""
MAX_FILLER_SHARE = 0.001
MIN_COMMENT_SHARE = 0.01
MAX_SHARED_CLASS_NAMES = 0.03
MAX_POSITIONAL_CALLS = 0.5
"""Calls of our own classes with more than four positional arguments, for each 1,000 lines."""


@dataclass(frozen=True)
class Module:
    path: str
    package: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


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


def modules(*folders: str) -> list[Module]:
    result = []
    for file in sorted(file for name in folders for file in (ROOT / name).rglob("*.py")):
        text = file.read_text()
        path = file.relative_to(ROOT).as_posix()
        result.append(Module(path, package_of(path), text))
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


_DOOR = (ROOT / "penstock.py").read_text()
MODULES = [
    Module("penstock.py", "penstock", _DOOR),
    *modules("streaming", "schemas", "jobs"),
]
WRITTEN = [*MODULES, *modules("benchmarks")]
"""What the bounds on names and comments hold for: the product and the benchmarks."""


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


def entered_verbs(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each module of a verb that is imported, as ``verb/module``, with the name that is taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jobs.verbs."):
            verb, _, part = str(node.module).removeprefix("jobs.verbs.").partition(".")
            yield from ((f"{verb}/{part or alias.name}", alias.name) for alias in node.names)


def test_each_verbs_folder_has_the_same_parts() -> None:
    """The work is in ``run``, or in a second verb's module; options are classes of ``options``; tables are shown by
    ``display`` and what stands beside it under a longer name."""
    verbs = {module.path.split("/")[2] for module in MODULES if module.path.startswith("jobs/verbs/")} - {"__init__.py"}
    wrong = [f"jobs/verbs/{verb} has no run.py" for verb in sorted(verbs) if not (VERBS / verb / "run.py").exists()]
    for module in MODULES:
        if module.path.startswith("jobs/command/"):
            wrong += [
                f"{module.path} takes {name} from {part}"
                for part, name in entered_verbs(module.tree)
                if (part.partition("/")[2] not in VERB_PARTS and part not in SECOND_VERBS)
                or (name[:1].isupper() and not part.endswith("/options"))
            ]
        if module.path.startswith("jobs/verbs/") and not module.path.endswith("display.py"):
            wrong += [f"{module.path}:{line} imports {name}" for name, line in imports(module.tree) if name in SHOWING]
    assert wrong == []


def test_a_main_is_a_door_and_nothing_else() -> None:
    mains = [module for module in MODULES if module.package == "jobs" and module.path.count("/") == 1]
    assert [f"{main.path}: {main.lines} lines" for main in mains if main.lines > MAX_MAIN_LINES] == []
    doors = ("score", "drift", "batch", "train", "replay", "quality", "shadow")
    assert {f"jobs/{door}.py" for door in doors} <= {main.path for main in mains}


def test_a_vendors_client_stays_in_its_own_folder_and_the_writer() -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        for name, line in imports(module.tree)
        if (vendor := name.split(".")[0]) in VENDORS and not module.path.startswith(VENDORS[vendor])
    ]
    assert wrong == []


def vendor_of(path: str) -> str:
    """Return which vendor's folder of ``adapters`` a module is in, or ``adapters``.

    >>> vendor_of("streaming/adapters/kafka/admin.py"), vendor_of("streaming/adapters/hooks.py")
    ('kafka', 'adapters')
    """
    return Path(path).parts[-2]


def test_one_vendors_adapters_know_no_others() -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.package == "adapters"
        for name, line in imports(module.tree)
        if name.startswith("streaming.adapters.") and vendor_of(name.replace(".", "/")) != vendor_of(module.path)
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


def test_compiled_scoring_needs_no_spark() -> None:
    """A worker evaluates a compiled pipeline with numpy and pyarrow alone."""
    own = ("streaming.errors", "streaming.events.columns", "streaming.models.arrow_types", "streaming.scoring.compiled")
    wrong = [
        f"{module.path}:{line} imports {name}"
        for module in MODULES
        if module.path.startswith("streaming/scoring/compiled/")
        for name, line in imports(module.tree)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "pyarrow"} and not name.startswith(own)
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
        for name, line in imports(without_annotations(module) if module.path in SPARK_IN_ANNOTATIONS else module.tree)
        if name.split(".")[0] in ("pyspark", "py4j")
    ]
    assert wrong == []


def without_annotations(module: Module) -> ast.Module:
    """Return what runs of a module: all but its ``if TYPE_CHECKING``."""

    def is_for_types(node: ast.stmt) -> bool:
        return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"

    return ast.Module([node for node in module.tree.body if not is_for_types(node)], [])


def test_spark_is_allowed_in_annotations_and_not_at_run_time() -> None:
    code = "if TYPE_CHECKING:\n    import pyspark.sql\nimport pyspark"
    module = Module("m.py", "facts", code)
    assert [name for name, _ in imports(without_annotations(module))] == ["pyspark"]


_PRIVATE = re.compile(r"\b(?:self|cls)\.(_[a-zA-Z]\w*)|\bdef (_[a-zA-Z]\w*)")
_JVM_CLASS = re.compile(r"\borg\.apache\.spark\.(?!ml\b|mllib\b)\w")
"""Spark's machine learning classes in the JVM are public API, and saved pipelines name them."""
_JVM_PACKAGE = re.compile(r"\.(org\.apache|javax?\.\w+|scala|PythonUtils)\b")


@cache
def private_names() -> frozenset[str]:
    """Return what pyspark and py4j name with an underscore, by their own sources."""
    names: set[str] = set()
    for package in ("pyspark", "py4j"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for file in Path(spec.origin).parent.rglob("*.py"):
            names.update(name for pair in _PRIVATE.findall(file.read_text("utf-8")) for name in pair if name)
    return frozenset(names)


def private_spark(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what a module uses of pyspark's private attributes and of the JVM's classes, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if node.attr in private_names() and not of_itself:
                yield node.attr, node.lineno
            if _JVM_PACKAGE.search(dotted := ast.unparse(node)):
                yield dotted, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _JVM_CLASS.search(node.value):
                yield node.value, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            names = [argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
            yield from ((name, node.lineno) for name in names if name in private_names())
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pyspark", "py4j"):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.startswith("_"))


@pytest.mark.parametrize(
    ("code", "uses"),
    [
        pytest.param("frame._jdf.schema()", ["_jdf"], id="an attribute"),
        pytest.param("getattr(frame, '_jdf')", ["_jdf"], id="an attribute by its name"),
        pytest.param("stage._to_java()", ["_to_java"], id="a method"),
        pytest.param("from pyspark.sql.classic.column import _to_seq", ["_to_seq"], id="a function"),
        pytest.param("make('org.apache.spark.sql.Dataset')", ["org.apache.spark.sql.Dataset"], id="a class"),
        pytest.param("jvm.java.lang", ["jvm.java.lang"], id="a package"),
        pytest.param("name == 'org.apache.spark.ml.PipelineModel'", [], id="a public class"),
        pytest.param("self._jdf", [], id="an attribute of its own"),
        pytest.param("error.code() == KafkaError._TIMED_OUT", [], id="somebody else's attribute"),
    ],
)
def test_what_is_private_of_spark_is_seen(code: str, uses: list[str]) -> None:
    assert [name for name, _ in private_spark(ast.parse(code))] == uses


def test_only_one_package_touches_what_spark_keeps_private() -> None:
    wrong = [
        f"{module.path}:{line} uses {name}"
        for module in MODULES
        if module.package != "spark"
        for name, line in private_spark(module.tree)
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


def assigned(tree: ast.AST) -> list[str]:
    """Return each parameter and each name that is assigned to, also by loops and as a field of a class."""
    nodes = list(ast.walk(tree))
    names = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return names + [node.arg for node in nodes if isinstance(node, ast.arg)]


def comments(text: str) -> int:
    """Count the comments for people: those that tell a tool something are none."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT and not _FOR_TOOLS.match(token.string) for token in tokens)


_FOR_TOOLS = re.compile(r"# ?(noqa|type:|fmt:|mypy|ruff)")


def public_classes(trees: Sequence[ast.AST]) -> list[str]:
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [name for name in names if not name.startswith("_")]


def shared_share(names: Sequence[str]) -> float:
    """Return the share of names that another one equals."""
    counts = Counter(names)
    return sum(counts[name] > 1 for name in names) / len(names)


def positional_calls(tree: ast.Module, classes: set[str]) -> Iterator[int]:
    """Yield the line of each call of one of our classes in which a reader has to count the arguments."""
    strangers = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in OURS
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > MAX_POSITIONAL:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in classes - strangers:
                yield node.lineno


OURS = {"streaming", "schemas", "jobs", "benchmarks"}


def test_names_say_what_they_hold() -> None:
    names = [name for module in WRITTEN for name in assigned(module.tree)]
    fillers = [name for name in names if name.strip("_") in FILLERS]
    assert len(fillers) / len(names) < MAX_FILLER_SHARE, Counter(fillers)


def test_comments_say_why() -> None:
    share = sum(comments(module.text) for module in WRITTEN) / sum(module.lines for module in WRITTEN)
    assert share >= MIN_COMMENT_SHARE


def test_a_public_class_has_its_name_for_itself() -> None:
    names = public_classes([module.tree for module in WRITTEN])
    shared = {name for name, count in Counter(names).items() if count > 1}
    assert shared_share(names) <= MAX_SHARED_CLASS_NAMES, shared


def test_many_fields_are_given_by_name() -> None:
    nodes = (node for module in WRITTEN for node in ast.walk(module.tree))
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    calls = [f"{module.path}:{line}" for module in WRITTEN for line in positional_calls(module.tree, classes)]
    assert len(calls) / sum(module.lines for module in WRITTEN) * 1_000 <= MAX_POSITIONAL_CALLS, calls


def test_what_the_bounds_count_is_seen() -> None:
    code = (
        "from rich.table import Table\n"
        "found: int = 1  # why\n"
        "for one, _place in []:  # noqa: B007\n"
        "    Point(1, 2, 3, 4, 5), Point(1, 2, 3, 4), shapes.Point(1, 2, 3, 4, 5, z=6), Table(1, 2, 3, 4, 5)\n"
        "class Point: ...\nclass _Own: ...\nclass Line: ...\n"
        "def show(said): ...\n"
    )
    tree = ast.parse(code)
    assert assigned(tree) == ["found", "one", "_place", "said"]
    assert comments(code) == 1
    assert public_classes([tree]) == ["Point", "Line"]
    assert list(positional_calls(tree, {"Point", "Table"})) == [4, 4]
    assert shared_share(["Point", "Line", "Point", "Plane"]) == 0.5


def test_unit_tests_need_no_service_and_no_vendor() -> None:
    wrong = []
    for file in sorted((ROOT / "tests" / "unit").rglob("*.py")):
        tree = ast.parse(file.read_text())
        result = [name for name, _ in imports(tree) if name.split(".")[0] in {*VENDORS, "pyspark"}]
        result += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg in SERVICE_FIXTURES]
        wrong += [f"{file.name} uses {name}" for name in result]
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
        pytest.param("streaming.scoring.compiled", ["scipy"], id="compiled scoring"),
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
