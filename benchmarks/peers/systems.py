"""The peers as systems of the benchmark; one whose environment is not installed is left out, with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.latency.system import System, Wiring
from benchmarks.peers.environments import EXPORT, ROOT, Environment
from benchmarks.peers.flink_jar import flink_jar
from benchmarks.peers.task import Task
from streaming.errors import SetupError
from streaming.local.processes import ManagedProcess

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Peer:
    """One product in one configuration: a module of this package, run by the Python of the product's environment."""

    name: str
    version: str
    delivery: str
    module: str
    python: Path
    onnx: bool

    def start(self, wiring: Wiring) -> ManagedProcess:
        """Start it in a process of its own and return at once.

        Raises:
            SetupError: The model could not be converted to ONNX.
        """
        if self.onnx:
            ensure_onnx(wiring.model)
        task = Task(
            bootstrap=wiring.bootstrap,
            source=wiring.source,
            sink=wiring.sink,
            model=str(wiring.model.absolute()),
            folder=str(wiring.folder.absolute()),
            name=f"{self.name}-{wiring.source}",
            exactly_once=self.delivery == "exactly-once",
        )
        command = [str(self.python), "-m", f"benchmarks.peers.{self.module}", task.to_json()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = wiring.folder / f"{self.name}.log"
        return ManagedProcess(self.name, command, log=log, environment=environment, grace=STOP_SECONDS)


@dataclass(frozen=True)
class PeerKind:
    """A peer before it is known whether it is installed; ``packages`` are those whose versions the result states."""

    name: str
    delivery: str
    module: str
    packages: tuple[str, ...]
    environment: str | None = None

    def peer(self) -> Peer:
        """Return it as a system; ``SetupError`` if its environment is not there, or not as its requirements say."""
        if self.environment is None:
            python, path = Path(sys.executable), sys.path
        else:
            folder = Environment(self.environment)
            folder.check()
            python, path = folder.python, [str(folder.packages)]
        if self.module == "flink":
            flink_jar()
        version = versions(self.packages, path)
        return Peer(
            name=self.name,
            version=version,
            delivery=self.delivery,
            module=self.module,
            python=python,
            onnx="onnxruntime" in self.packages,
        )


QUIX = ("quixstreams", "onnxruntime")
KINDS = (
    PeerKind("kafka-copy", "at-least-once", "kafka_copy", ("confluent-kafka",)),
    PeerKind("kafka-copy-eos", "exactly-once", "kafka_copy", ("confluent-kafka",)),
    PeerKind("spark-copy", "at-least-once", "spark_copy", ("pyspark",)),
    PeerKind("spark-udf", "at-least-once", "spark_udf", ("pyspark", "mlflow")),
    PeerKind(name="quix", delivery="at-least-once", module="quix", packages=QUIX, environment="quix"),
    PeerKind(name="quix-eos", delivery="exactly-once", module="quix", packages=QUIX, environment="quix"),
    PeerKind(
        name="pyflink",
        delivery="at-least-once",
        module="flink",
        packages=("apache-flink", "onnxruntime"),
        environment="flink",
    ),
    PeerKind(
        name="bytewax",
        delivery="at-least-once",
        module="wax",
        packages=("bytewax", "onnxruntime"),
        environment="bytewax",
    ),
)


def systems(report: Callable[[str], None] = print) -> list[System]:
    """Return every peer that can run here; ``report`` is told which cannot, and why."""
    return list(_installed(report))


def _installed(report: Callable[[str], None]) -> Iterator[Peer]:
    for kind in KINDS:
        try:
            yield kind.peer()
        except SetupError as error:
            report(f"{kind.name} is left out: {error}")


def versions(packages: Sequence[str], path: Sequence[str]) -> str:
    """Return the packages' versions, as installed in the folders of ``path``; raises as above."""
    return ", ".join(f"{name} {_version(name, path)}" for name in packages)


def _version(name: str, path: Sequence[str]) -> str:
    for distribution in metadata.distributions(name=name, path=[*path]):
        return distribution.version
    raise SetupError(f"{name} is not installed in {path[0]}; remove that environment and run `make bench-peers`")


def ensure_onnx(model: Path) -> None:
    """Convert ``pipeline/`` of a model's folder to ``model.onnx`` if that is not there.

    Raises:
        SetupError: The export environment is not installed, or the pipeline is not of the kind that is converted.
    """
    if (model / "model.onnx").exists():
        return
    folder = Environment(EXPORT)
    folder.check()
    command = [
        str(folder.python),
        "-m",
        "benchmarks.peers.onnx_export",
        str(model / "pipeline"),
        str(model / "model.onnx"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{model / 'pipeline'} could not be converted to ONNX:\n{done.stderr.strip()[-1000:]}")
