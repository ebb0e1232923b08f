"""The compiled form checked in operation: some events are scored once more, by both forms, beside the stream.

A batch is never held up. While one sample is checked, those of the batches that end meanwhile are left out.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

import structlog
from pyspark.sql import DataFrame

from streaming.errors import ModelNotFoundError
from streaming.events import columns as c
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.slot import Slot
from streaming.offsets import OffsetRange, Ranges
from streaming.scoring.parity import agrees
from streaming.spark.causes import root_cause

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MOST = 500
"""Events of a partition in one sample, so that the check stays a small part of what the stream costs."""
_TICK_SECONDS = 0.5
_STOP_SECONDS = 30.0
_COLUMNS = (c.PARTITION, c.OFFSET, c.VERDICT, *c.RESULTS.names)


class RecheckObserver(Protocol):
    """An observer of the checked samples; its methods are called on the thread of the check."""

    def rechecked(self, version: ModelVersion, events: int, different: int, example: str) -> None:
        """A sample was scored by both forms, which differ on some of the events, the first of them at ``example``."""
        ...


def sample(ranges: Ranges, one_in: int, random: Random) -> Ranges:
    """Return a run of offsets of each partition, at a place drawn at random; some are empty.

    Args:
        ranges: a batch's.
        one_in: on average, a run has one offset for each so many of its partition's; at most 500.
        random: draws the place, and whether a partition with fewer offsets has a run.
    """
    runs = {}
    for partition, part in ranges.items():
        count, remainder = divmod(part.end - part.start, one_in)
        count = min(count + (random.randrange(one_in) < remainder), _MOST)
        start = random.randint(part.start, part.end - count)
        runs[partition] = OffsetRange(start, start + count)
    return runs


class Recheck:
    """Checks samples of finished batches on a thread of its own, between :meth:`start` and :meth:`stop`."""

    def __init__(
        self, slot: Slot, read: Callable[[Ranges], DataFrame], observer: RecheckObserver, one_in: int, random: Random
    ) -> None:
        """Take what is needed.

        Args:
            slot: has the version that scored a batch, if it is not replaced by then.
            read: returns the records of ranges of offsets, as Kafka's source does.
            observer: is told of every sample.
            one_in: one event in so many is checked.
            random: draws the samples.
        """
        self._slot = slot
        self._read = read
        self._observer = observer
        self._one_in = one_in
        self._random = random
        self._orders: queue.Queue[tuple[ModelKey, Ranges]] = queue.Queue(maxsize=1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recheck", daemon=True)

    def start(self) -> None:
        """Begin to check what :meth:`offer` is given."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the sample under way."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def offer(self, key: ModelKey, ranges: Ranges) -> None:
        """Have a sample of a finished batch checked, unless another one is waiting; returns at once."""
        runs = sample(ranges, self._one_in, self._random)
        if any(run.end > run.start for run in runs.values()) and not self._orders.full():
            self._orders.put((key, runs))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                key, ranges = self._orders.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            try:
                self._check(key, ranges)
            except ModelNotFoundError:
                continue  # replaced meanwhile
            except Exception as problem:  # whatever it is, the stream must not suffer from it
                _log.warning("a sample could not be checked", model=str(key), problem=root_cause(problem))

    def _check(self, key: ModelKey, ranges: Ranges) -> None:
        with self._slot.lease(key) as model:
            if model.row_pass is None:
                return
            records = self._read(ranges)
            # By workers, as in the stream: the driver reads no model of another library.
            ours = _answers(model.row_pass.over(records))
            theirs = _answers(model.reference.score(records))
        if not ours:
            return
        differing = [position for position, answer in ours.items() if not _agree(answer, theirs[position])]
        example = "partition {}, offset {}".format(*differing[0]) if differing else ""
        self._observer.rechecked(model.version, len(ours), len(differing), example)


def _answers(scored: DataFrame) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the answers by partition and offset of their events."""
    rows = scored.select(*_COLUMNS).collect()
    return {(row[c.PARTITION], row[c.OFFSET]): row.asDict(recursive=True) for row in rows}


def _agree(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Return whether two answers to one event are equal; of a rejected event only the verdict says something."""
    if ours[c.VERDICT] or theirs[c.VERDICT]:
        return bool(ours[c.VERDICT] == theirs[c.VERDICT])
    return agrees(ours, theirs)
