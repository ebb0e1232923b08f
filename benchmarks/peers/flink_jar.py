"""Flink's Kafka connector: a jar from Maven, resolved as the project's own jars are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.peers.environments import HOME
from streaming.errors import SetupError
from streaming.local.jars import ivy_command, resolve

IVY_FILE = Path(__file__).with_name("ivy.xml")
FOLDER = HOME / "flink-jars"


def ensure_flink_jar(environment: Mapping[str, str]) -> None:
    """Fetch the connector if it is not there; ``SetupError`` without Java or network."""
    stamp = FOLDER / ".stamp"
    if stamp.exists() and stamp.read_text() == IVY_FILE.read_text():
        return
    resolve("flink", FOLDER, ivy_command(HOME.parent, environment, IVY_FILE), lambda _: None)
    stamp.write_text(IVY_FILE.read_text())


def flink_jar() -> Path:
    """Return the connector; ``SetupError`` if it has not been fetched."""
    jars = sorted(FOLDER.glob("flink-sql-connector-kafka-*.jar"))
    if not jars:
        raise SetupError("Flink's connector is not there; run `make bench-peers`")
    return jars[-1]
