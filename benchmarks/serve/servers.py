"""The servers that are measured, each a process of its own over one model, and the model's two versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
import yaml

from benchmarks.latency.model import ALIAS, train_apart
from benchmarks.latency.workloads import WORKLOADS
from benchmarks.peers.environments import MLSERVER, Environment
from benchmarks.serve.load import LoadFigures, LoadOrder
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.local.processes import LOOPBACK, ManagedProcess, free_port
from streaming.local.tracking import start_tracking_server
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.ref import ModelVersion
from streaming.training.record import Promotion

_READY_SECONDS = 300.0
_BODIES = 2_000


@dataclass(frozen=True)
class Exhibit:
    """The model: a registry with version 1 under the alias, its files, and events to send."""

    folder: Path
    uri: str
    name: str

    @property
    def tree(self) -> Path:
        """The version as MLflow logged it."""
        return self.folder / "model" / "mlflow"

    def register_again(self) -> ModelVersion:
        """Register the same files once more; the alias stays where it is."""
        with MlflowTracker(self.uri).run("bench-serve", "again") as run:
            return run.register(self.tree, self.name, {DIGEST_TAG: tree_digest(self.tree)})

    def swap(self, version: ModelVersion) -> None:
        """Move the alias to a version."""
        MlflowTracker(self.uri).promote(version, Promotion(ALIAS))

    def events(self) -> Path:
        """Return a file of flights as a topic would carry them."""
        lines = [b'{"event_id":"%d",%b' % (number, body) for number, body in enumerate(self._bodies())]
        return self._written("events.jsonl", lines)

    def records(self) -> Path:
        """Return a file of the same flights in MLflow's form, a record each."""
        names = [column["name"] for column in json.loads((self.folder / "model" / "features.json").read_text())]
        rows = [json.loads(b"{" + body) for body in self._bodies()]
        bodies = [{"dataframe_records": [{name: row[name] for name in names}]} for row in rows]
        return self._written("records.jsonl", [json.dumps(body).encode() for body in bodies])

    def _bodies(self) -> list[bytes]:
        return (self.folder / "model" / "bodies.jsonl").read_bytes().splitlines()[:_BODIES]

    def _written(self, name: str, lines: list[bytes]) -> Path:
        path = self.folder / name
        path.write_bytes(b"\n".join(lines))
        return path


@contextmanager
def exhibit(folder: Path) -> Iterator[Exhibit]:
    """Train the demonstration's model in a process of its own, and yield it, with its registry running."""
    prepare_mlflow()
    with start_tracking_server(folder / "registry", free_port(), os.environ) as server:
        server.wait_ready()
        _take_last_place(server.process.pid)
        train_apart(WORKLOADS["flights"], server.address, folder)
        origin = json.loads((folder / "model" / "registry.json").read_text())
        yield Exhibit(folder, server.address, origin["name"])


def _take_last_place(pid: int) -> None:
    """Have a process and its children take no time from the load, whose core they share and would not in earnest."""
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        for thread in each.threads():
            os.setpriority(os.PRIO_PROCESS, thread.id, 19)


@dataclass(frozen=True)
class MeasuredServer:
    """A server that runs: its port, and the process that holds it."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have taken so far."""
        times = [process.cpu_times() for process in psutil.Process(self.pid).children(recursive=True)]
        return sum(time.user + time.system for time in times)


@contextmanager
def penstock_server(shown: Exhibit) -> Iterator[MeasuredServer]:
    """Yield ``penstock serve``, which follows the alias when it is asked to."""
    port = free_port()
    settings = {
        "model.name": shown.name,
        "model.alias": ALIAS,
        "model.tracking_uri": shown.uri,
        "model.cache_dir": str(shown.folder / "serve-models"),
        "model.poll_seconds": "3600",
        "serve.port": str(port),
        "serve.drain_seconds": "0",
    }
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "penstock", "serve", *options]
    with _running("penstock serve", command, shown.folder, f"http://{LOOPBACK}:{port}/ready") as pid:
        yield MeasuredServer(port, pid)


@contextmanager
def mlflow_server(shown: Exhibit) -> Iterator[MeasuredServer]:
    """Yield ``mlflow models serve``."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(shown.tree), "-p", str(port)]
    command += ["-h", LOOPBACK, "--env-manager", "local"]
    with _running("mlflow models serve", command, shown.folder, f"http://{LOOPBACK}:{port}/ping") as pid:
        yield MeasuredServer(port, pid)


@contextmanager
def mlserver_server(shown: Exhibit) -> Iterator[MeasuredServer]:
    """Yield MLServer, of an environment of its own, with its runtime for models of MLflow's.

    It is sent what MLflow's server is sent: the runtime cannot encode a Spark model's answers for the Open Inference
    Protocol. It also loads no model whose signature has no outputs, so it gets a copy of the version that has them.

    Raises:
        SetupError: it is not installed.
    """
    environment = Environment(MLSERVER)
    environment.check()
    folder, port = shown.folder / "mlserver", free_port()
    folder.mkdir(exist_ok=True)
    own = {"host": LOOPBACK, "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    # A pool of workers would be further processes between the socket and the model.
    (folder / "settings.json").write_text(json.dumps({**own, "parallel_workers": 0}))
    tree = _with_outputs(shown.tree, folder / "model")
    runtime = {"implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(tree)}}
    (folder / "model-settings.json").write_text(json.dumps({"name": shown.name, **runtime}))
    command = [str(environment.folder / "bin" / "mlserver"), "start", str(folder)]
    probe = f"http://{LOOPBACK}:{port}/v2/models/{shown.name}/ready"
    with _running("MLServer", command, shown.folder, probe, environment.python) as pid:
        yield MeasuredServer(port, pid)


def _with_outputs(tree: Path, copy: Path) -> Path:
    shutil.copytree(tree, copy)
    description = copy / "MLmodel"
    fields = yaml.safe_load(description.read_text("utf-8"))
    fields["signature"]["outputs"] = json.dumps([{"type": "double", "name": "prediction", "required": True}])
    description.write_text(yaml.safe_dump(fields), "utf-8")
    return copy


@contextmanager
def _running(
    name: str, command: list[str], folder: Path, probe: str, python: Path = Path(sys.executable)
) -> Iterator[int]:
    # A core for the server, so that the load beside it takes none of its time.
    own_core = ["taskset", "-c", "0"] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []
    path = f"{python.parent}:{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYSPARK_PYTHON": str(python)}
    # MLServer's gRPC would handle the fork of Spark's JVM, and now and then end that in doing so.
    environment["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    log = folder / f"{name.replace(' ', '-')}.log"
    process = ManagedProcess(name, [*own_core, *command], log=log, environment=environment, grace=20.0)
    try:
        process.wait_ready(lambda: _answers(probe), _READY_SECONDS)
        yield process.pid
    finally:
        process.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def begin_load(order: LoadOrder, folder: Path) -> subprocess.Popen[str]:
    """Start to send from a process of its own."""
    path = folder / "order.json"
    path.write_text(json.dumps(asdict(order)))
    command = [sys.executable, "-m", "benchmarks.serve.load", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end_load(process: subprocess.Popen[str]) -> LoadFigures:
    """Return what came of a load, when it has ended."""
    output, _ = process.communicate(timeout=600)
    return LoadFigures(**json.loads(output))
