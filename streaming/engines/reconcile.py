"""Marks and checkpoint brought into agreement before each start of a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from streaming.clock import Clock
from streaming.delivery.marks import Mark, Writer
from streaming.engines.checkpoint import Checkpoint
from streaming.engines.start import Move, Start, StartFacts, decide_start
from streaming.errors import BrokerUnavailableError
from streaming.ledger.plan import Ledger
from streaming.offsets import OffsetRange

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_ATTEMPTS = 5


class StartBroker(Protocol):
    """What a start asks of Kafka and changes there; ``adapters/kafka/start.py`` implements it.

    Each method raises ``BrokerUnavailableError`` if there is no answer.
    """

    def partitions(self) -> range:
        """Return the input's partitions; raises ``TopicRecreatedError`` if it is another topic by now."""
        ...

    def claim(self, partitions: Iterable[int]) -> None:
        """Take partitions over, so that no task of an earlier driver may move their marks afterwards."""
        ...

    def marks(self, partitions: Iterable[int]) -> Mapping[int, Mark | None]:
        """Return the group's marks; a stranger's commit is ``None``, a partition without one is absent."""
        ...

    def saved_marks(self) -> Mapping[int, Mark]:
        """Return the progress topic's marks."""
        ...

    def offsets(self, partitions: Iterable[int], where: str) -> Mapping[int, int]:
        """Return each partition's ``earliest`` or ``latest`` offset."""
        ...

    def move(self, move: Move) -> bool:
        """Make the move; return false if the mark had moved meanwhile or the broker refused: then decide again."""
        ...


class SkipObserver(Protocol):
    """Observer of records that will never be scored."""

    def records_skipped(self, partition: int, start: int, end: int, reason: str) -> None:
        """The offsets from ``start`` up to but not including ``end`` are left out."""
        ...


@dataclass(frozen=True)
class StartPolicy:
    """The start of a first run, and whether records that are gone may be left out."""

    starting: Literal["earliest", "latest"] = "earliest"
    skip: bool = False


@dataclass(frozen=True)
class StartPorts:
    """What a start is decided by: who writes, what is recorded, what Spark's checkpoint says.

    ``require_usable`` raises if the topics may not be read and written. ``set_aside`` renames the checkpoint, with a
    stamp at the end of its name, and returns the new name.
    """

    writer: Writer
    broker: StartBroker
    ledger: Ledger
    checkpoint: Checkpoint
    observer: SkipObserver
    require_usable: Callable[[], None]
    set_aside: Callable[[str], str]
    clock: Clock


def reconcile_marks(ports: StartPorts, policy: StartPolicy) -> Mapping[int, int]:
    """Bring marks and checkpoint into agreement; return where a query without a checkpoint starts.

    Raises:
        ConfigurationError: the checkpoint is another topic's, or a right is missing.
        DataError: it is not possible without losing or doubling records; see :func:`decide_start`.
        FencedError: a younger driver has taken over.
        BrokerUnavailableError: the broker does not answer, or the marks do not keep still.
    """
    partitions = ports.broker.partitions()
    require_own(ports.checkpoint)
    ports.require_usable()
    # Before any mark is read: none of an earlier driver's tasks, asleep somewhere, may move it afterwards.
    ports.broker.claim(partitions)
    for _ in range(_ATTEMPTS):
        start = _decide(ports, policy, partitions)
        if start.set_aside:
            _set_aside(ports, start.set_aside)
        if all(_moved(ports, move) for move in start.moves):
            if start.new_marks:
                ports.ledger.record_start(start.new_marks)
            return start.offsets
    raise BrokerUnavailableError(
        f"the marks of {ports.writer.application} could not be set: somebody else moves them, or the broker refuses"
    )


def require_own(checkpoint: Checkpoint | None) -> None:
    """Raise ``ConfigurationError`` if there is a checkpoint and it is of another topic than the one to be scored."""
    if checkpoint is not None:
        checkpoint.require_own({"input.topic": checkpoint.topic}, "engine.checkpoint")


def _decide(ports: StartPorts, policy: StartPolicy, partitions: range) -> Start:
    def first() -> Mapping[int, int]:
        return ports.broker.offsets(partitions, policy.starting)

    return decide_start(ports.writer, _start_facts(ports, partitions), policy.skip, first)


def _start_facts(ports: StartPorts, partitions: range) -> StartFacts:
    """Read what a start is decided by; the marks first, as the topic only moves on from there."""
    broker = ports.broker
    marks = broker.marks(partitions)
    saved = broker.saved_marks() if len(marks) < len(partitions) else {}
    complete = {*marks, *saved}.issuperset(partitions)
    planned = frozenset[int]() if complete else ports.ledger.planned()
    first, end = broker.offsets(partitions, "earliest"), broker.offsets(partitions, "latest")
    on_topic = {partition: OffsetRange(first[partition], end[partition]) for partition in partitions}
    return StartFacts(marks=marks, on_topic=on_topic, saved=saved, planned=planned, rereads=_rereads(ports))


def _rereads(ports: StartPorts) -> Mapping[int, int] | None:
    """Say from where Spark may read again: from the last planned batch on, which may not be in its own commit log."""
    if not ports.checkpoint.exists():
        return None
    checkpoint = ports.checkpoint.id()
    plans = [plan for plan in ports.ledger.recent() if plan.checkpoint == checkpoint]
    return {p: part.start for p, part in plans[-1].ranges.items()} if plans else ports.checkpoint.first_offsets()


def _set_aside(ports: StartPorts, reason: str) -> None:
    """Record that the checkpoint is set aside, then rename it: the record fails for a driver without the lease."""
    location = ports.checkpoint.location
    ports.ledger.record_set_aside(location, reason)
    renamed = ports.set_aside(f"{ports.clock():%Y%m%dT%H%M%S.%fZ}")
    _log.warning("checkpoint set aside", checkpoint=location, kept=renamed, reason=reason)


def _moved(ports: StartPorts, move: Move) -> bool:
    if not ports.broker.move(move):
        return False
    if move.gap is None:
        _log.warning("mark restored", partition=move.partition, offset=move.now.offset, reason=move.reason)
    else:
        ports.observer.records_skipped(move.partition, move.gap.start, move.gap.end, move.reason)
    return True
