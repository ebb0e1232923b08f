"""A stretch of a topic read for a recording or a replay: it joins no group and commits nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError, DataError
from streaming.offsets import OffsetRange
from streaming.replay.recording import RecordedEvent


@dataclass(frozen=True)
class Span:
    """Which part of a topic: all of it, by time, or by offsets of each partition; ``None`` in a pair is all there is.

    ``offsets`` names the partitions that are meant; empty means all of them.
    """

    since: datetime | None = None
    until: datetime | None = None
    offsets: Mapping[int, tuple[int | None, int | None]] | None = None


@dataclass(frozen=True)
class KafkaStretch:
    """The committed records of one topic. Every method raises ``BrokerUnavailableError`` if there is no answer."""

    scan: KafkaScan
    topic: str

    def ranges(self, span: Span) -> dict[int, OffsetRange]:
        """Return the offsets that are meant, as far as the topic goes now.

        Raises:
            ConfigurationError: the topic has no such partition, or does not (or not any more) hold these offsets.
        """
        partitions = self.scan.partitions(self.topic)
        if span.offsets:
            return {p: self._by_offsets(p, pair, partitions) for p, pair in sorted(span.offsets.items())}
        return {partition: self._by_time(partition, span) for partition in range(partitions)}

    def records(self, partition: int, part: OffsetRange) -> Iterator[RecordedEvent]:
        """Yield the records of a partition in order.

        Raises:
            DataError: the oldest of them were deleted meanwhile.
        """
        for message in self.scan.messages(self.topic, partition, part.start, part.end):
            timestamp = int(message.timestamp()[1])
            yield RecordedEvent(
                offset=message.offset(),
                timestamp=timestamp,
                key=message.key(),
                value=message.value(),
                headers=message.headers(),
            )
        # Asked afterwards: what retention took while we read was passed over in silence.
        first, _ = self.scan.extent(self.topic, partition)
        if first > part.start:
            raise DataError(
                f"partition {partition} of {self.topic} now begins at {first}: records from {part.start} on were"
                " deleted while they were read. Begin later, or give the topic a longer retention."
            )

    def first(self, partition: int, offset: int) -> int | None:
        """See :class:`streaming.replay.pace.Timeline`."""
        _, end = self.scan.extent(self.topic, partition)
        message = next(self.scan.messages(self.topic, partition, offset, end), None)
        return int(message.timestamp()[1]) if message is not None else None

    def offset_at(self, partition: int, milliseconds: int) -> int | None:
        """See :class:`streaming.replay.pace.Timeline`."""
        return self.scan.offset_at(self.topic, partition, milliseconds)

    def _by_offsets(self, partition: int, pair: tuple[int | None, int | None], partitions: int) -> OffsetRange:
        if partition >= partitions:
            raise ConfigurationError(f"{self.topic} has {partitions} partitions; there is no partition {partition}")
        first, last = self.scan.extent(self.topic, partition)
        start, end = first if pair[0] is None else pair[0], last if pair[1] is None else pair[1]
        if not first <= start <= end <= last:
            raise ConfigurationError(
                f"partition {partition} of {self.topic} holds offsets {first} up to {last}, not {start} up to {end}"
            )
        return OffsetRange(start, end)

    def _by_time(self, partition: int, span: Span) -> OffsetRange:
        start, end = self.scan.extent(self.topic, partition)
        if span.since is not None:
            start = self.scan.offset_at(self.topic, partition, _milliseconds(span.since))
        if span.until is not None:
            end = self.scan.offset_at(self.topic, partition, _milliseconds(span.until))
        # The topic may have grown between the two questions, so that `start` lies behind `end`.
        return OffsetRange(start, max(start, end))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)
