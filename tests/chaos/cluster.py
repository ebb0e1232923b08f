"""A standalone cluster of two hosts, for what Spark does not do in local mode: have a slow task done twice.

Both hosts are loopback addresses, since Spark never gives a second attempt to the host of the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyspark

from streaming.local.java import find_java
from streaming.local.processes import LOOPBACK, ManagedProcess, free_port
from tests.support.commands import environment

_HOSTS = (LOOPBACK, "127.0.0.2")
_READY_SECONDS = 60.0
_SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.multiplier": "1.5",
    "spark.speculation.minTaskRuntime": "1s",
}


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a master and a worker of one core on each host; yield the master's address."""
    find_java(os.environ)
    address = f"spark://{LOOPBACK}:{free_port()}"
    with ExitStack() as stack:
        master = ("master.Master", "--host", LOOPBACK, "--port", address.rpartition(":")[2], "--webui-port", "0")
        _start(stack, folder / "master.log", master, "I have been elected leader")
        for host in _HOSTS:
            size = ("--cores", "1", "--memory", "1g", "--webui-port", "0")
            worker = ("worker.Worker", "--host", host, *size, "--work-dir", str(folder / host), address)
            _start(stack, folder / f"{host}.log", worker, "Successfully registered with master")
        yield address


def settings(master: str, staging: Path) -> dict[str, dict[str, Any]]:
    """Return what the job needs to be told to run there, with slow tasks done twice."""
    conf = {"spark.driver.host": LOOPBACK, "spark.executor.memory": "768m", **_SPECULATION}
    return {"spark": {"master": master, "conf": conf}, "model": {"staging_uri": staging.as_uri()}}


def _start(stack: ExitStack, log: Path, command: tuple[str, ...], ready: str) -> None:
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    name, *arguments = command
    process = ManagedProcess(
        name,
        [str(spark_class), f"org.apache.spark.deploy.{name}", *arguments],
        log=log,
        environment=environment(SPARK_DAEMON_MEMORY="256m", SPARK_NO_DAEMONIZE="1"),
    )
    stack.callback(process.stop)
    process.wait_ready(lambda: ready in log.read_text(errors="replace"), _READY_SECONDS)
