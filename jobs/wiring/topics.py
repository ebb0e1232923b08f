"""The topics a job reads and writes: checked, and where allowed created, before anything else starts."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.output_topics import (
    PROGRESS_CONFIG,
    output_topic,
    require_all_kept,
    require_dead_letters,
)
from streaming.errors import ConfigurationError, TopicDeletedError
from streaming.outputs.targets import Targets
from streaming.settings import Settings


@dataclass(frozen=True)
class Topics:
    """The source as it is, and the outputs as the writer needs to know them."""

    source: TopicInfo
    targets: Targets


def prepare_topics(settings: Settings, admin: KafkaAdmin) -> Topics:
    """Describe the topics, and create the missing outputs with as many partitions as the input.

    Raises:
        ConfigurationError: the input is missing, or an output is and ``output.create_topics`` is false; or the ledger's
            topic has several partitions; or an output would not keep what it must.
        BrokerUnavailableError: Kafka does not answer.
    """
    source = admin.required_topic(settings.input.topic)
    output = settings.output
    retention = {"retention.ms": str(output.retention_ms)}
    needed: list[tuple[str, int, dict[str, str]]] = [
        (output.predictions, source.partitions, {**retention, **source.unbounded}),
        (settings.dead_letter_topic, source.partitions, {**retention, **admin.dead_letter_config(source)}),
        (output.model_events, 1, {"retention.ms": "-1"}),  # the audit of every swap and refusal; a few lines a day
        (output.ledger, 1, {"retention.ms": str(output.ledger_retention_ms)}),
        (output.progress, source.partitions, PROGRESS_CONFIG),
    ]
    topics = [output_topic(output, admin, *topic) for topic in needed]
    predictions, dead_letters, _, ledger, progress = map(admin.target, topics)
    if ledger.partitions != 1:
        raise ConfigurationError(
            f"the ledger's topic {ledger.topic!r} has {ledger.partitions} partitions, and its records need one order."
            " Set output.ledger to a topic with one partition"
        )
    require_all_kept(ledger, "output.ledger", "plans would be lost, and a batch done again under another version")
    require_dead_letters(dead_letters)
    return Topics(source, Targets(predictions, dead_letters, progress))


def require_rights(settings: Settings, admin: KafkaAdmin) -> None:
    """See that the job may read and write its topics, which must be there; both engines need the same rights.

    Raises:
        ConfigurationError: a right is missing; the message names every one, and who needs it.
        BrokerUnavailableError: Kafka does not answer.
    """
    output = settings.output
    both = dict.fromkeys((output.model_events, output.ledger, output.progress), ("READ", "WRITE"))
    written = dict.fromkeys((output.predictions, settings.dead_letter_topic), ("WRITE",))
    admin.require_rights({settings.input.topic: ("READ",), **written, **both})


def require_outputs(admin: KafkaAdmin, targets: Targets) -> None:
    """See that what is written to is still there; a job that cannot write must say why.

    Raises:
        ConfigurationError: the right to write to a topic is missing.
        TopicDeletedError: a topic was deleted while the job ran.
    """
    outputs = (targets.predictions, targets.dead_letters, targets.progress)
    there = admin.require_rights({target.topic: ("WRITE",) for target in outputs})
    for target in outputs:
        if target.topic not in there:
            raise TopicDeletedError(
                f"the output topic {target.topic!r} was deleted while the job runs; create it again with"
                f" {target.partitions} partitions, or start the job anew, which creates it (output.create_topics)"
            )
