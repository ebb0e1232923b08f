"""Output topics: made where they are missing, and refused or complained of by what their settings mean."""

from __future__ import annotations

from collections.abc import Mapping

from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.errors import ConfigurationError
from streaming.outputs.targets import NO_BOUND, Target, Targets
from streaming.settings import OutputSettings

PROGRESS_CONFIG = {
    "cleanup.policy": "compact",
    # Small segments are compacted soon: a start that has to read the topic reads a few megabytes.
    "segment.bytes": str(8 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
}
_LEAST_BYTES = 16_384
"""A dead letter without its event: position, reason and message as headers, and Kafka's framing."""


def output_topic(
    output: OutputSettings, admin: KafkaAdmin, name: str, partitions: int, config: Mapping[str, str]
) -> TopicInfo:
    """Return a topic that is written, created where it is missing and that is allowed.

    Raises:
        ConfigurationError: it is missing and ``output.create_topics`` is false.
        BrokerUnavailableError: Kafka does not answer.
    """
    if output.create_topics:
        return admin.ensure_topic(name, partitions, config, output.replication_factor)
    info = admin.topic(name)
    if info is None:
        raise ConfigurationError(f"there is no topic {name!r} and output.create_topics is false; create it first")
    return info


def require_dead_letters(topic: Target) -> None:
    """Raise ``ConfigurationError`` unless every event can have its dead letter on ``topic``, and keep it."""
    require_all_kept(topic, "output.dead_letters", "dead letters of one key would replace each other")
    if topic.max_record_bytes < _LEAST_BYTES:
        raise ConfigurationError(
            f"the dead letters' topic {topic.topic!r} takes records of {topic.max_record_bytes:,} bytes"
            f" (max.message.bytes), and the headers alone may need {_LEAST_BYTES:,}. Raise it, or set"
            " output.dead_letters to another topic"
        )


def require_all_kept(topic: Target, setting: str, why: str) -> None:
    """Raise ``ConfigurationError`` if ``topic``, which ``setting`` names, is compacted; ``why`` says what is lost."""
    if topic.compacted:
        raise ConfigurationError(
            f"the topic {topic.topic!r} is compacted (cleanup.policy): {why}, and a record without a key is refused."
            f" Set its cleanup.policy to delete, or {setting} to another topic"
        )


def concerns(source: TopicInfo, targets: Targets, *, timed: bool) -> list[str]:
    """Return a sentence for each setting by which an output takes less than the input may bring.

    Args:
        source: the input.
        targets: the outputs.
        timed: outputs are written with their events' timestamps, as the exact engine does.
    """
    predictions, letters = targets.predictions, targets.dead_letters
    sentences = [_narrower(source, target) for target in (predictions, letters) if timed]
    if predictions.compacted:
        sentences.append(
            f"the predictions' topic {predictions.topic!r} is compacted (cleanup.policy): an event without a key"
            " becomes a dead letter (NO_KEY), and of each key only the latest prediction stays"
        )
    if letters.max_record_bytes < source.max_record_bytes:
        sentences.append(
            f"the dead letters' topic {letters.topic!r} takes records of {letters.max_record_bytes:,} bytes"
            f" (max.message.bytes) and the input {source.name!r} {source.max_record_bytes:,}: the value of a larger"
            " event is left out of its dead letter"
        )
    return list(filter(None, sentences))


def _narrower(source: TopicInfo, target: Target) -> str:
    # An event is older when it is scored than when it came, so only a topic without a bound takes all old ones.
    narrow = {
        "message.timestamp.before.max.ms": target.behind_ms < NO_BOUND,
        "message.timestamp.after.max.ms": target.ahead_ms < source.ahead_ms,
    }
    names = " and ".join(name for name, is_narrow in narrow.items() if is_narrow)
    if not names:
        return ""
    return (
        f"the output {target.topic!r} takes fewer timestamps than the input {source.name!r} ({names}): where it does"
        " not take an event's timestamp, the output has the time of writing and the event's in"
        " penstock-original-timestamp"
    )
