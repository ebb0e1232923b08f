"""The demonstration's surroundings: a fresh folder, its configuration file, and the scoring job as a process."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx
import yaml

from jobs.demo.events import MAX_VALUE_BYTES
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.errors import SetupError
from streaming.local.processes import LOOPBACK, ManagedProcess, free_port
from streaming.local.services import Services

TOPIC, PREDICTIONS, DEAD_LETTERS = "features", "predictions", "features.dlq"
MODEL, ALIAS = "penstock-demo", "champion"
PARTITIONS = 2
_SCORERS = {
    "compiled": "its compiled form, without Spark",
    "native": "its own library",
    "pyfunc": "its own code",
    "spark": "Spark's pipeline",
}
WINDOW_SECONDS = 7 * 86_400
"""Of drift: days of the week differ, weeks hardly do."""
READY_SECONDS = 300.0
STOP_SECONDS = 45.0


@dataclass(frozen=True)
class Rig:
    """The addresses and files of the demonstration; ``config`` is the file for ``penstock score --config``."""

    folder: Path
    config: Path
    http_port: int
    services: Services


def fresh_folder(home: Path) -> Path:
    """Return the demonstration's folder below ``home``, emptied of the last run."""
    folder = (home / "demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def make_rig(folder: Path, services: Services) -> Rig:
    """Write the configuration and create the input topic, which keeps records of 2013."""
    port = free_port()
    config = folder / "penstock.yaml"
    settings = {
        "application": "penstock-demo",
        "kafka": {"bootstrap.servers": services.bootstrap_servers},
        "input": {"topic": TOPIC, "max_value_bytes": MAX_VALUE_BYTES},
        "output": {"predictions": PREDICTIONS, "dead_letters": DEAD_LETTERS},
        "model": {
            "name": MODEL,
            "alias": ALIAS,
            "poll_seconds": 2,
            "tracking_uri": services.tracking_uri,
            "cache_dir": str(folder / "models"),
        },
        "engine": {"checkpoint": str(folder / "checkpoint")},
        "drift": {"window_seconds": WINDOW_SECONDS, "checkpoint": str(folder / "drift")},
        "http": {"port": port},
    }
    config.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    admin = KafkaAdmin({"bootstrap.servers": services.bootstrap_servers}, "penstock-demo")
    admin.ensure_topic(TOPIC, PARTITIONS, {"retention.ms": "-1"}, 1)
    return Rig(folder, config, port, services)


@contextmanager
def scoring_job(rig: Rig) -> Iterator[ManagedProcess]:
    """Run ``penstock score --config`` until the end of the block; yield it when it is ready to score.

    Raises:
        SetupError: it ended or was not ready in time; the message has the end of its log.
    """
    command = [sys.executable, "-m", "penstock", "score", "--config", str(rig.config)]
    job = ManagedProcess(
        "scoring job", command, log=rig.folder / "score.log", environment=os.environ, grace=STOP_SECONDS
    )
    try:
        job.wait_ready(lambda: _get(rig, "/readyz") is not None, READY_SECONDS)
        yield job
    finally:
        job.stop()


def serving_version(rig: Rig) -> int | None:
    """Return the version that the scoring job says it serves; ``None`` where it does not answer."""
    reply = _get(rig, "/v1/model")
    return None if reply is None else int(reply.json()["version"])


def serving_scorer(rig: Rig) -> str:
    """Return what scores the serving version and why, in a sentence; empty where the job does not answer."""
    reply = _get(rig, "/v1/model")
    scorer = {} if reply is None else reply.json()["scorer"]
    return f"scored by {_SCORERS[scorer['kind']]}: {scorer['why']}" if scorer else ""


def _get(rig: Rig, path: str) -> httpx.Response | None:
    try:
        reply = httpx.get(f"http://{LOOPBACK}:{rig.http_port}{path}", timeout=2.0)
    except httpx.HTTPError:
        return None
    return reply if reply.status_code == httpx.codes.OK else None


def require_alive(process: ManagedProcess) -> None:
    """Raise ``SetupError`` with the end of the log if the process has ended."""
    if process.exit_code is not None:
        raise SetupError(
            f"The {process.name} ended with code {process.exit_code}."
            f" The end of its log ({process.log}):\n{process.tail()}"
        )


@contextmanager
def interrupted_once(say: Callable[[str], None]) -> Iterator[None]:
    """Let the first SIGTERM or Ctrl-C end the block, which stops what was started in it; ``say`` is told.

    Further ones are ignored until the block has ended: one that hit the cleaning up would leave something running.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, _take_no_notice)  # not SIG_IGN: Python raises if one is pending already
        say("stopping everything that was started")
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_no_notice(_number: int, _frame: FrameType | None) -> None:
    pass
