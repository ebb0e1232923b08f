"""The search for what a repair has to do: the answered ranges in the ledger, and their events on the input topic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from jobs.terminal.progress import progress_bar
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.dead_letters import KafkaDeadLetters
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ConfigurationError
from streaming.events.identity import event_id_of
from streaming.ledger.answered import AnsweredRange, answered_ranges, of_chain
from streaming.ledger.rollout_story import RolloutStory
from streaming.models.ref import ModelVersion
from streaming.offsets import Offsets
from streaming.outputs.dead_letters import Selection
from streaming.replay.repair import Remains, Repair, answered_by, lettered_offsets, remains
from streaming.settings import EventSettings, Settings


@dataclass(frozen=True)
class FoundRepair:
    """``events`` counts the answered events in each range, ``removed`` are ranges that retention has taken."""

    repair: Repair
    events: dict[AnsweredRange, int] = field(default_factory=dict)
    removed: tuple[AnsweredRange, ...] = ()


def find_repair(settings: Settings, scan: KafkaScan, story: RolloutStory, champion: ModelVersion) -> FoundRepair:
    """Return what has to be scored again of what a rollout's candidate has answered.

    Raises:
        ConfigurationError: the input topic is missing, the job has not written yet what it has planned, or the live
            engine has answered.
        BrokerUnavailableError: Kafka does not answer.
    """
    if story.answered_live:
        raise ConfigurationError(
            f"the live engine has answered in the rollout {story.declaration.name}: around each handover both versions"
            " did, and the ledger does not tell for which events, so that they cannot be corrected one by one. Score"
            " the offsets of `penstock rollout status` again by `penstock replay`, to a topic of their own"
        )
    remaining, removed = _remaining(settings, scan, story.answered)
    with progress_bar("counting its events") as progress:
        total = sum(span.offsets.end - span.offsets.start for span in remaining)
        events: dict[AnsweredRange, int] = {}
        for span in remaining:
            events[span] = _count(span, KafkaStretch(scan, settings.input.topic), settings.event)
            progress(sum(done.offsets.end - done.offsets.start for done in events), total)
    lettered = _lettered(settings, story, remaining)
    return FoundRepair(Repair(story.declaration.name, champion, remaining, lettered), events, removed)


def find_degraded(settings: Settings, scan: KafkaScan, champion: ModelVersion) -> FoundRepair:
    """Return what the fallback chain has answered; its rows are known, so that no event is read to count them.

    Raises:
        ConfigurationError: the input topic is missing, or the job has not written yet what it has planned.
        BrokerUnavailableError: Kafka does not answer.
    """
    ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
    with progress_bar("reading the ledger") as progress:
        answered = answered_ranges(ledger.records(progress), of_chain)
    remaining, removed = _remaining(settings, scan, answered)
    events = {span: span.offsets.end - span.offsets.start for span in remaining}
    return FoundRepair(Repair("chain", champion, remaining, kind="fallback"), events, removed)


def _remaining(settings: Settings, scan: KafkaScan, answered: tuple[AnsweredRange, ...]) -> Remains:
    info = KafkaAdmin(settings.kafka, settings.application).required_topic(settings.input.topic)
    # Before anything is counted: what is planned and not written yet would be answered after its correction.
    _require_written(settings, info, answered)
    firsts = {partition: scan.extent(info.name, partition)[0] for partition in range(info.partitions)}
    return remains(answered, info.id, firsts)


def _lettered(settings: Settings, story: RolloutStory, remaining: tuple[AnsweredRange, ...]) -> Offsets:
    """Return which events of the ranges the candidate has made dead letters of."""
    topic = KafkaAdmin(settings.kafka, settings.application).topic(settings.dead_letter_topic)
    # A letter does not say of which topic with the input's name it is. A second letter is better than none at all.
    if topic is None or len({span.topic_id for span in story.answered}) > 1:
        return {}
    letters = KafkaDeadLetters(settings.kafka, settings.application, topic).read(Selection())
    return lettered_offsets(letters, story.declaration, remaining)


def _require_written(settings: Settings, info: TopicInfo, answered: tuple[AnsweredRange, ...]) -> None:
    """Refuse while a batch of the candidate's is planned and not written: its answers would come after corrections."""
    ends = {span.partition: span.offsets.end for span in answered if span.topic_id == info.id}
    marks = KafkaAdmin(settings.kafka, settings.application).marks(info.name, ends)
    for partition, mark in marks.items():
        if mark is not None and mark.offset < ends[partition]:
            raise ConfigurationError(
                f"partition {partition} of {info.name} is planned up to {ends[partition]} and written up to"
                f" {mark.offset}; let the job write what it has planned, then repair again"
            )


def _count(span: AnsweredRange, stretch: KafkaStretch, envelope: EventSettings) -> int:
    of_arm: Counter[bool] = Counter()
    for record in stretch.records(span.partition, span.offsets):
        event_id = None
        # A key decides by itself, and most events have one.
        if record.key is None:
            event_id = event_id_of(record.value, envelope.id, span.partition, record.offset)
        of_arm[answered_by(span, record.key, event_id)] += 1
    return of_arm[True]
