"""A part of a topic, as the command line names it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.terminal.progress import progress_bar
from streaming.adapters.kafka.admin import TopicInfo
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.recording import KafkaStretch, Span
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import Period
from streaming.errors import ConfigurationError
from streaming.offsets import OffsetRange
from streaming.replay.planned import planned
from streaming.settings import Settings


@dataclass(frozen=True)
class Stretch:
    """The command line's words for a part of a topic.

    ``offsets`` read like ``0:100-200``, ``plans`` of the ledger like ``2.1..2.9``.
    """

    since: str | None = None
    until: str | None = None
    offsets: tuple[str, ...] = ()
    plans: str | None = None

    def ranges(self, settings: Settings, scan: KafkaScan, topic: TopicInfo) -> dict[int, OffsetRange]:
        """Return the offsets that are meant.

        Raises:
            ConfigurationError: the words mean nothing, or the topic or the ledger does not have what they mean.
            BrokerUnavailableError: Kafka does not answer.
        """
        span = self.span()
        if self.plans is not None:
            first, _, last = self.plans.partition("..")
            ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
            with progress_bar("reading the ledger") as progress:
                planned_ranges = planned(ledger.records(progress), (topic.name, topic.id), first, last or first)
            span = Span(offsets={partition: (part.start, part.end) for partition, part in planned_ranges.items()})
        return KafkaStretch(scan, topic.name).ranges(span)

    def span(self) -> Span:
        """Return what is meant as far as the words alone say it, without a topic.

        Raises:
            ConfigurationError: they mean nothing.
        """
        if sum((bool(self.offsets), bool(self.since or self.until), self.plans is not None)) > 1:
            raise ConfigurationError(
                "--offsets, --plans, and --from or --to name different stretches; give one of them"
            )
        period = Period.parsed(("--from", "--to"), self.since, self.until)
        return Span(period.since, period.until, _by_partition(self.offsets))

    def __str__(self) -> str:
        """Return it in words that are the same whenever it is the same stretch."""
        if self.plans is not None:
            return f"plans {self.plans}"
        return " ".join(sorted(self.offsets)) or f"{self.since or 'the beginning'} to {self.until or 'the end'}"


def _by_partition(texts: Sequence[str]) -> dict[int, tuple[int | None, int | None]]:
    pairs = [_offsets(text) for text in texts]
    twice = [partition for partition, times in Counter(partition for partition, _ in pairs).items() if times > 1]
    if twice:
        raise ConfigurationError(f"--offsets names partition {twice[0]} more than once; give one stretch of it")
    return dict(pairs)


def _offsets(text: str) -> tuple[int, tuple[int | None, int | None]]:
    try:
        partition, _, ends = text.partition(":")
        start, _, end = ends.partition("-")
        pair = int(start) if start else None, int(end) if end else None
        number = int(partition)
    except ValueError:
        raise ConfigurationError(
            f"--offsets {text!r} is no stretch; write 0:100-200 for partition 0 from 100 up to but not including 200"
        ) from None
    if pair[0] is not None and pair[1] is not None and pair[0] >= pair[1]:
        raise ConfigurationError(
            f"--offsets {text} ends before it begins, and nothing is in it; turn the numbers round"
        )
    return number, pair
