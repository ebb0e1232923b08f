"""The versions of a replay: a chosen one, or those that served according to the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.terminal.progress import progress_bar
from jobs.verbs.replay.options import VersionOptions
from jobs.wiring.following import registry
from jobs.wiring.lookups import states_for
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.scan import KafkaScan
from streaming.delivery.marks import Mark
from streaming.ledger.arms import PlannedArms
from streaming.ledger.lineage import Record
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.replay.chunks import Segments, assigned
from streaming.replay.served import ServingHistory, as_served
from streaming.replay.source import ReplaySource, known_topic_id
from streaming.settings import Settings

ROLE = "replay"
"""The role of a chosen version. It is part of the prediction's id, so that no id of the live job is repeated."""


def segments_of(options: VersionOptions, settings: Settings, source: ReplaySource, scan: KafkaScan) -> Segments:
    """Decide which version scores which offsets.

    Raises:
        ModelNotFoundError: there is no such version.
        DataError: the ledger does not know who served.
        UpstreamError: the registry or Kafka does not answer.
    """
    if options.as_served:
        topic_id = known_topic_id(source)
        return as_served(_books(settings, source, scan), source.topic, topic_id, source.ranges())
    kind, value = ("alias", options.alias) if options.alias is not None else ("version", str(options.version))
    selector = ModelSelector(settings.model.name, kind, value or "")  # type: ignore[arg-type]
    resolved = registry(settings.model).resolve(selector)
    version = ModelVersion(resolved.name, resolved.version, resolved.run_id)
    arms = PlannedArms.only(version, ROLE)
    if settings.lookup.topic is None:
        return assigned(source.ranges(), arms)
    served = as_served(_books(settings, source, scan), source.topic, known_topic_id(source), source.ranges())
    return states_for(served, arms)


def _books(settings: Settings, source: ReplaySource, scan: KafkaScan) -> ServingHistory:
    ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
    admin = KafkaAdmin(settings.kafka, settings.application)
    topic = admin.topic(source.topic)
    marks: dict[int, Mark | None] = {}
    if topic is not None and topic.id == source.topic_id:
        marks = admin.marks(source.topic, range(topic.partitions))

    def records() -> Iterator[Record]:
        with progress_bar("reading the ledger") as progress:
            yield from ledger.records(progress)

    return ServingHistory(records, marks, ledger.complete())
