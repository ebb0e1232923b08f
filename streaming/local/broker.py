"""Apache Kafka itself on this machine: one KRaft node on the loopback address, from the Maven jars."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from streaming.errors import SetupError
from streaming.local.java import find_java
from streaming.local.processes import LOOPBACK, ManagedProcess, Service, free_port

READY_SECONDS = 60.0
# No name, so that it can be compared byte by byte: ApiVersions, version 0, correlation id 1, no client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def start_broker(
    data_dir: Path, jars: Path, port: int, environment: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Service:
    """Start a broker; it is ready some two seconds later (``wait_ready``).

    Args:
        data_dir: Its configuration, log and data; formatted on first use and kept afterwards.
        jars: The folder of the broker's jars.
        port: Where clients connect.
        environment: The environment variables the broker inherits; ``JAVA_HOME`` and ``PATH`` choose the Java.
        settings: The broker's settings that differ from those of a development broker.

    Raises:
        SetupError: No usable Java, or the data folder cannot be prepared.
    """
    java = find_java(environment)
    data_dir.mkdir(parents=True, exist_ok=True)
    config = data_dir / "server.properties"
    own = "".join(f"{key}={value}\n" for key, value in (settings or {}).items())
    config.write_text(_properties(data_dir / "data", port, free_port()) + own)  # of a key written twice the last counts
    classpath = f"{jars}/*"
    _format_once(data_dir, [java, "-Xmx128m", "-cp", classpath], config)
    command = [
        java, "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-cp", classpath, "kafka.Kafka", str(config),
    ]  # fmt: skip
    process = ManagedProcess("broker", command, log=data_dir / "broker.log", environment=environment, grace=20.0)
    return Service(process, f"{LOOPBACK}:{port}", lambda: answers(port), READY_SECONDS)


def answers(port: int) -> bool:
    """Return whether a Kafka broker on the loopback ``port`` answers a request, not only accepts a connection."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(_API_VERSIONS)
            return connection.recv(8)[4:8] == struct.pack(">i", 1)
    except OSError:
        return False


def _properties(data: Path, port: int, controller_port: int) -> str:
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"listeners=CLIENT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
            f"advertised.listeners=CLIENT://{LOOPBACK}:{port}",
            "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=CLIENT",
            "controller.listener.names=CONTROLLER",
            f"controller.quorum.voters=1@{LOOPBACK}:{controller_port}",
            f"log.dirs={data}",
            # One node: nothing can be replicated, and nobody else will join a group.
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            # The defaults of 50 partitions each are for clusters; every partition costs files and start-up time.
            "offsets.topic.num.partitions=4",
            "transaction.state.log.num.partitions=4",
            # So are three threads for the network and eight for requests: where small requests are many, handing them
            # from thread to thread took a fifth of the broker's time.
            "num.network.threads=1",
            "num.io.threads=2",
            "auto.create.topics.enable=false",
            "",
        ]
    )


def _format_once(data_dir: Path, java: list[str], config: Path) -> None:
    data = data_dir / "data"
    if (data / "meta.properties").exists():
        return
    shutil.rmtree(data, ignore_errors=True)  # a formatting that was interrupted
    # Joined to its option by "=": an id may begin with a dash.
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(
            f"The broker's data folder {data} could not be prepared (disk full, or not writable?):\n"
            f"{(done.stdout + done.stderr).strip()[-2000:]}"
        )
