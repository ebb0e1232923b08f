"""Finding an output on its topic: by the record of the input that it answers, or by the event's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import instant
from streaming.ledger.lineage import Position
from streaming.offsets import OffsetRange, Progress
from streaming.outputs.read_back import Output, read_output

_BLOCK = 20_000
"""Offsets of each partition that are read at a time when the newest come first."""


class KafkaOutputs:
    """One application's predictions and dead letters."""

    def __init__(self, scan: KafkaScan, topics: Sequence[str], application: str) -> None:
        self._scan = scan
        self._topics = [topic for topic in topics if scan.partitions(topic)]
        self._application = application

    def of(self, position: Position, not_before: str, progress: Progress) -> Output | None:
        """Return the output of one record of the input.

        Outputs keep their event's timestamp, or have the time of writing where the topic does not take that, and the
        events' order; so the search begins at the first that it can be and ends above it.

        Args:
            position: the input's record.
            not_before: RFC 3339; an output that was made before belongs to an earlier topic of the same name.
            progress: told how far it is.
        """
        since = _first_time(self._scan.timestamp(position.topic, position.partition, position.offset), not_before)
        ranges = [self._range(topic, position.partition, since) for topic in self._topics]
        total, done = sum(end - start for _, _, start, end in ranges), 0
        for topic, partition, start, end in ranges:
            for output in self._read(topic, partition, start, end):
                progress(done + output.record.offset - start, total)
                source = output.source
                if source[:2] != (position.topic, position.partition) or source[2] < position.offset:
                    continue
                if output.made_at >= not_before:
                    # Outputs have the order of their events: one behind it means that this event has none here.
                    if source[2] == position.offset:
                        return output
                    break
            done += end - start
        return None

    def with_event_id(self, event_id: str, field: str | None, progress: Progress) -> list[Output]:
        """Return the outputs of the newest events with this id; ``field`` is where events carry it.

        The topics are read from their ends backwards, block by block, until a round of blocks has one.
        """
        unread = [self._range(topic, p, None) for topic in self._topics for p in range(self._scan.partitions(topic))]
        total = sum(end - start for _, _, start, end in unread)
        while unread:
            newest = []
            for topic, partition, start, end in unread:
                outputs = self._read(topic, partition, max(start, end - _BLOCK), end)
                newest += [output for output in outputs if output.event_id(field) == event_id]
            if newest:
                return newest
            unread = [(topic, p, start, end - _BLOCK) for topic, p, start, end in unread if end - _BLOCK > start]
            progress(total - sum(end - start for _, _, start, end in unread), total)
        return []

    def within(self, topic: str, partition: int, part: OffsetRange, since: int | None) -> Iterator[Output]:
        """Yield the outputs of a stretch of the input, predictions first.

        Args:
            topic: the input's.
            partition: the input's.
            part: the input's offsets that are meant.
            since: the timestamp of the first record there, in milliseconds since 1970; it says where to begin.
        """
        for output_topic in self._topics:
            for output in self._read(*self._range(output_topic, partition, since)):
                if output.source[:2] != (topic, partition) or output.source[2] < part.start:
                    continue
                if output.source[2] >= part.end:
                    break
                yield output

    def _range(self, topic: str, partition: int, since: int | None) -> tuple[str, int, int, int]:
        # As the writer does where an output topic has fewer partitions than the input.
        partition %= self._scan.partitions(topic)
        first, end = self._scan.extent(topic, partition)
        start = first if since is None else self._scan.offset_at(topic, partition, since)
        return topic, partition, start, end

    def _read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Output]:
        for record in self._scan.records(topic, partition, start, end):
            output = read_output(record)
            if output is not None and output.application == self._application:
                yield output


def _first_time(timestamp: int | None, not_before: str) -> int | None:
    if timestamp is None or not not_before:
        return timestamp
    return min(timestamp, int(instant(not_before).timestamp() * 1000))
