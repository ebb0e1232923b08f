"""A standalone Spark cluster: a master and workers in processes and folders of their own, started as documented."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark

from streaming.local.processes import LOOPBACK, free_port
from tests.support.documents import blocks
from tests.support.eventually import SLOWEST, eventually
from tests.support.site import another_machine

DAEMON = {
    "SPARK_HOME": str(Path(pyspark.__file__).parent),
    "SPARK_DAEMON_MEMORY": "256m",
    "SPARK_LOCAL_IP": LOOPBACK,
    "SPARK_MASTER_WEBUI_PORT": "0",
    "SPARK_WORKER_WEBUI_PORT": "0",
}


class Node:
    """One daemon, and all that it starts."""

    def __init__(self, command: str, folder: Path, variables: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        with (folder / "log").open("wb") as log:
            environment = another_machine(**variables)
            self._shell = psutil.Popen(["bash", "-ec", command], cwd=folder, env=environment, stdout=log, stderr=log)

    def says(self, words: str) -> bool:
        """Whether its log has the words; the daemon has not ended."""
        log = (self.folder / "log").read_text()
        assert self._shell.poll() is None, log[-3_000:]
        return words in log

    def processes(self) -> list[psutil.Process]:
        """Return the daemon and all below it: executors and their Python workers."""
        return [self._shell, *self._shell.children(recursive=True)]

    def python_workers(self) -> list[psutil.Process]:
        """Return the Python processes that run tasks."""
        result = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if "pyspark.daemon" in process.cmdline():
                    result.append(process)
        return result

    def kill(self) -> None:
        """End everything at once, as a lost machine would."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._shell.wait(30)

    def close(self) -> None:
        if self._shell.poll() is None:
            self.kill()


@dataclass(frozen=True)
class Cluster:
    """``variables`` are what the documented commands use: the master's host and port."""

    variables: dict[str, str]
    workers: list[Node]


@contextmanager
def a_cluster(manual: Path, folder: Path, workers: int) -> Iterator[Cluster]:
    """Yield a cluster whose daemons are started by the commands in ``manual``, word for word."""
    commands = [text for _, text in blocks(manual, "sh") if "org.apache.spark.deploy." in text]
    start_master = next(text for text in commands if "master.Master" in text)
    start_worker = next(text for text in commands if "worker.Worker" in text)
    address = {"SPARK_MASTER_HOST": LOOPBACK, "SPARK_MASTER_PORT": str(free_port())}
    with ExitStack() as stack:
        master = stack.enter_context(closing(Node(start_master, folder / "master", {**DAEMON, **address})))
        eventually(lambda: master.says("New state: ALIVE") and _answers(address), timeout=SLOWEST)
        nodes = []
        for number in range(workers):
            home = folder / f"worker{number}"
            own = {"SPARK_WORKER_DIR": str(home / "work"), "SPARK_LOCAL_DIRS": str(home / "scratch")}
            nodes.append(stack.enter_context(closing(Node(start_worker, home, {**DAEMON, **address, **own}))))
        eventually(lambda: all(node.says("Successfully registered with master") for node in nodes), timeout=SLOWEST)
        yield Cluster({**address, "SPARK_LOCAL_IP": LOOPBACK}, nodes)


def _answers(address: dict[str, str]) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, int(address["SPARK_MASTER_PORT"])), timeout=5):
        return True
    return False
