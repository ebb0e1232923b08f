"""The marks of a replay into a topic: on the sink's own partitions, in a group of its own, with the replay's name.

They say how far a replay has got, so that it goes on there, and whose it is. A younger run of the same replay raises
their epoch, which fences an older one that is still alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaException

from streaming.adapters.kafka_claim import Claim
from streaming.adapters.kafka_marks import Change, MarkStore, Note
from streaming.delivery.marks import Mark, standing
from streaming.delivery.plan import Target
from streaming.delivery.progress import progress_record
from streaming.errors import BrokerUnavailableError, ConfigurationError, TopicRecreatedError
from streaming.offsets import OffsetRange

_ATTEMPTS = 7
_PAUSE = 0.1


def next_epoch(marks: Mapping[int, Mark | None], identity: str, topic_id: str, name: str) -> int:
    """Return the epoch of a new run, one more than any before.

    Raises:
        ConfigurationError: the marks are another replay's, or a stranger's.
        TopicRecreatedError: they belong to an earlier topic of the sink's name.
    """
    for partition, mark in marks.items():
        if mark is None or mark.plan.partition(".")[0] != identity:
            raise ConfigurationError(
                f"under the name {name} something else was replayed into this topic before (partition {partition})."
                " Choose another --name, and the predictions of both are on the topic; or another --to-topic"
            )
        if mark.topic_id != topic_id:
            raise TopicRecreatedError(
                f"the topic that {name} replayed into was deleted and created again; choose another --name to begin"
            )
    return 1 + max((mark.epoch for mark in marks.values() if mark), default=0)


@dataclass(frozen=True)
class ReplayMarks:
    """Changes the marks of the writer of ``store``; each also goes to ``progress``, as the writer's do."""

    store: MarkStore
    progress: Target

    def begin(self, partitions: Iterable[int], missing: Mapping[int, Mark]) -> None:
        """Take all partitions over from an earlier run, and set the marks that are not there yet.

        Raises:
            BrokerUnavailableError: the broker did not answer, or another run keeps taking a partition back.
        """
        Claim(self.store).partitions(partitions)
        for partition, first in missing.items():
            self._change(partition, partial(_unless_there, first))

    def pass_over(self, partition: int, part: OffsetRange, plan: str) -> None:
        """Move a mark to the end of offsets that hold no record.

        Raises:
            FencedError: a younger run of the replay has taken over.
        """

        def decide(mark: Mark | None) -> Mark | None:
            standing(mark, part, self.store.writer, partition)
            return Mark.at(part.end, self.store.writer, plan, part.start) if mark and mark.offset < part.end else None

        self._change(partition, decide)

    def _change(self, partition: int, decide: Callable[[Mark | None], Mark | None]) -> None:
        problem: KafkaException | None = None
        for attempt in range(_ATTEMPTS):
            try:
                self.store.change(partition, lambda mark: self._noted(partition, decide(mark)))
            except KafkaException as again:
                problem = again
                time.sleep(_PAUSE * 2**attempt)
            else:
                return
        why = problem.args[0].str() if problem else ""
        raise BrokerUnavailableError(
            f"the mark of partition {partition} of {self.store.writer.topic} could not be set: {why}"
        ) from problem

    def _noted(self, partition: int, mark: Mark | None) -> Change | None:
        if mark is None:
            return None
        key, value = progress_record(mark, self.store.writer.topic, partition)
        note = Note(self.progress.topic, key, value, partition % self.progress.partitions)
        return Change(mark, (note,))


def _unless_there(first: Mark, mark: Mark | None) -> Mark | None:
    return first if mark is None else None
