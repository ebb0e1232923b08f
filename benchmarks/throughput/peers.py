"""Peers on the same topic: how fast what they write can be read, by the offsets of the topic that they write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from benchmarks.latency.model import lay_out
from benchmarks.latency.system import System, Wiring
from benchmarks.peers.systems import systems
from benchmarks.throughput.setting import Rates, Setting
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.errors import SetupError
from streaming.models.ref import ModelVersion

_EVERY = 0.2
_PATIENCE = 900.0
_FROM, _TO = 0.2, 0.95
"""Shares of the events between which a peer is in its steady state: it has connected, and it has not run dry."""


def peer_model(setting: Setting, version: ModelVersion) -> Path:
    """Lay the version out as peers read it."""
    folder = setting.folder / "peer-model"
    folder.mkdir()
    lay_out(setting.settings("peers"), version, folder)
    return folder


def peer(name: str) -> System | None:
    """Return a peer; ``None`` where it is not installed."""
    return next((system for system in systems(lambda _: None) if system.name == name), None)


def measure_peer(setting: Setting, name: str, model: Path, processes: int) -> Rates:
    """Run so many processes of a peer over the topic.

    Raises:
        SetupError: it is not installed, a process ended, or not all outputs came.
    """
    system = peer(name)
    if system is None:
        raise SetupError(f"{name} is not installed; run `make bench-peers`")
    sink = f"{name}-{uuid4().hex[:6]}.out"
    KafkaAdmin(setting.settings("peers").kafka, "peers").ensure_topic(sink, setting.partitions, {"retention.ms": "-1"})
    with ExitStack() as stack:
        running = []
        for number in range(processes):
            folder = setting.folder / "runs" / f"{sink}-{number}"
            folder.mkdir(parents=True)
            wiring = Wiring(
                bootstrap=setting.services.bootstrap_servers,
                source=setting.topic,
                sink=sink,
                model=model,
                folder=folder,
                workload="flights",
            )
            running.append(system.start(wiring))
            stack.callback(running[-1].stop)
        return _watched(setting, sink, lambda: any(process.exit_code is not None for process in running))


def _watched(setting: Setting, sink: str, has_ended: Callable[[], bool]) -> Rates:
    admin, marks = KafkaAdmin(setting.settings("peers").kafka, "peers"), list[tuple[float, int]]()
    deadline = time.monotonic() + _PATIENCE
    while not marks or marks[-1][1] < setting.events:
        if has_ended() or time.monotonic() > deadline:
            raise SetupError(
                f"{sink} has {marks[-1][1] if marks else 0} of {setting.events} outputs; see build/bench/logs"
            )
        # A transaction's marker takes an offset, too: one for hundreds of records.
        written = sum(admin.offsets(sink, range(setting.partitions), "stable").values())
        marks.append((time.monotonic(), min(written, setting.events)))
        time.sleep(_EVERY)
    return Rates(_rate(marks, _FROM * setting.events, _TO * setting.events), _rate(marks, 1, setting.events))


def _rate(marks: Sequence[tuple[float, int]], least: float, most: float) -> float:
    """Return the events per second from the first mark of at least ``least`` to the first of at least ``most``."""
    began, before = next(mark for mark in marks if mark[1] >= least)
    ended, after = next(mark for mark in marks if mark[1] >= most)
    return (after - before) / max(ended - began, _EVERY)
