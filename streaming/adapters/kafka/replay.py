"""The marks of a replay into a topic: on the sink's own partitions, in a group of its own, with the replay's name.

They say how far a replay has got, so that it goes on there, and whose it is. A younger run of the same replay raises
their epoch, which fences an older one that is still alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from streaming.adapters.kafka.claim import Claim
from streaming.adapters.kafka.marks import Change, MarkStore, progress_note
from streaming.delivery.marks import Mark, standing
from streaming.errors import ConfigurationError, TopicRecreatedError
from streaming.offsets import OffsetRange
from streaming.outputs.targets import Target


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
        topic = self.store.writer.topic

        def noted(standing_mark: Mark | None) -> Change | None:
            mark = decide(standing_mark)
            return Change(mark, (progress_note(mark, topic, partition, self.progress),)) if mark else None

        self.store.insist(partition, noted, f"the mark of partition {partition} of {topic} could not be set")


def _unless_there(first: Mark, mark: Mark | None) -> Mark | None:
    return first if mark is None else None
