"""``penstock ledger``: ask which version, run and data made a prediction, and see what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.progress import progress_bar
from jobs.verbs.ledger.options import LedgerAtOptions, LedgerShowOptions
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.outputs import KafkaOutputs
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import instant, isoformat, parsed_instant
from streaming.delivery.marks import Mark
from streaming.errors import ConfigurationError, ModelError, RegistryUnavailableError
from streaming.ledger.answer import Answer, Facts, about_moment, about_offset
from streaming.ledger.lineage import Fate, Lineage, OffsetLookup, Position
from streaming.ledger.serving_at import Moment
from streaming.outputs.read_back import Output
from streaming.settings import Settings

_MOST_ANSWERS = 10
"""The most events with one id that are answered, the newest ones."""
_CLOCK_SKEW = timedelta(minutes=5)
"""The clock of the driver that finished a batch may be this far behind that of the driver that planned it."""


def answers(config: Path | None, overrides: Sequence[str], options: LedgerAtOptions) -> list[Answer]:
    """Return the answers; the list is empty if no event has the id.

    Raises:
        ConfigurationError: the options or the settings are wrong.
        BrokerUnavailableError: Kafka does not answer.
    """
    options.check()
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    with _desk(settings) as desk:
        results = desk.moment(options.time) if options.time else desk.offsets(options)
    digest = _digests(settings)
    return [{**answer, **digest(answer)} for answer in results]


@contextmanager
def _desk(settings: Settings) -> Iterator[_LedgerQuery]:
    with KafkaScan(settings.kafka, settings.application) as scan:
        yield _LedgerQuery(settings, scan)


class _LedgerQuery:
    """Reads the ledger, the outputs and the marks from the broker."""

    def __init__(self, settings: Settings, scan: KafkaScan) -> None:
        self._settings = settings
        self._scan = scan
        self._admin = KafkaAdmin(settings.kafka, settings.application)
        self._ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
        topics = settings.output.predictions, settings.dead_letter_topic
        self._outputs = KafkaOutputs(scan, topics, settings.application)

    def moment(self, time: str) -> list[Answer]:
        moment = Moment(parsed_instant("--time", time))
        with progress_bar("reading the ledger") as progress:
            for record in self._ledger.records(progress):
                moment.add(record)
        return [about_moment(moment, isoformat(moment.at))]

    def offsets(self, options: LedgerAtOptions) -> list[Answer]:
        if options.partition is not None and options.offset is not None:
            topic = options.topic or self._settings.input.topic
            positions: list[tuple[Position, Output | None]] = [
                (self._position(topic, options.partition, options.offset), None)
            ]
        else:
            positions = [(self._position(*output.source), output) for output in self._with_id(options.event_id or "")]
        # All positions are looked up in one pass over the ledger, which may have millions of records.
        lookups = [OffsetLookup(position) for position, _ in positions]
        with progress_bar("reading the ledger") as progress:
            for record in self._ledger.records(progress) if lookups else ():
                for lookup in lookups:
                    lookup.add(record)
        return [
            self._answer(position, output, lookup)
            for (position, output), lookup in zip(positions, lookups, strict=True)
        ]

    def _with_id(self, event_id: str) -> list[Output]:
        with progress_bar("looking for the event, newest first") as progress:
            outputs = self._outputs.with_event_id(event_id, self._settings.event.id, progress)
        return sorted(outputs, key=lambda output: output.made_at)[-_MOST_ANSWERS:]

    def _position(self, topic: str, partition: int, offset: int) -> Position:
        info = self._admin.topic(topic)
        if info is not None and partition >= info.partitions:
            raise ConfigurationError(f"{topic} has {info.partitions} partitions; there is no partition {partition}")
        return Position(topic, info.id if info else "", partition, offset)

    def _answer(self, position: Position, output: Output | None, lookup: OffsetLookup) -> Answer:
        mark, exists, end = None, None, 0
        if position.topic_id:
            mark = self._admin.marks(position.topic, [position.partition]).get(position.partition)
            exists, end = self._exists(position)
        lineage = lookup.answer(mark, self._ledger.complete())
        output = output or self._output(position, lineage)
        return about_offset(
            Facts(position=position, lineage=lineage, output=output, exists=exists, end=end, written_to=_offset(mark))
        )

    def _exists(self, position: Position) -> tuple[bool | None, int]:
        first, end = self._scan.extent(position.topic, position.partition)
        if not first <= position.offset < end:
            return None, end
        return self._scan.timestamp(position.topic, position.partition, position.offset) is not None, end

    def _output(self, position: Position, lineage: Lineage) -> Output | None:
        if lineage.fate not in (Fate.WRITTEN, Fate.FORGOTTEN):
            return None
        # The output cannot be older than its plan, so the search begins there.
        earliest = min((plan.at for plan in (*lineage.others, lineage.plan) if plan), default="")
        with progress_bar("looking for the output") as progress:
            return self._outputs.of(position, _sooner(earliest), progress)


def _sooner(at: str) -> str:
    return isoformat(instant(at) - _CLOCK_SKEW) if at else ""


def _offset(mark: Mark | None) -> int | None:
    return mark.offset if mark else None


def _digests(settings: Settings) -> Callable[[Answer], Answer]:
    """Return a function that gives the digest of a version's training data, or why it is unknown."""
    from jobs.wiring.following import registry
    from streaming.adapters.mlflow.provenance import MlflowProvenance

    def digest(answer: Answer) -> Answer:
        if not answer["found"] or "model" not in answer:
            return {}
        try:
            provenance = MlflowProvenance(registry(settings.model), settings.model.tracking_uri)
            return {"data_digest": provenance.data_digest(answer["model"], answer["version"])}
        except (RegistryUnavailableError, ModelError, ConfigurationError) as problem:
            return {"data_digest": None, "data_digest_problem": str(problem)}

    return digest


def latest(config: Path | None, overrides: Sequence[str], chosen: LedgerShowOptions) -> list[dict[str, Any]]:
    """Return the latest records, oldest first.

    Raises:
        ConfigurationError: the settings, a type or the time are wrong.
        BrokerUnavailableError: Kafka does not answer.
    """
    chosen.check()
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    since = parsed_instant("--from", chosen.since) if chosen.since else None
    with KafkaScan(settings.kafka, settings.application) as scan:
        reader = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
        return reader.latest(chosen.count, since, lambda record: not chosen.types or record["type"] in chosen.types)
