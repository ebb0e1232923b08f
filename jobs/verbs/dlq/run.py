"""``penstock dlq list`` and ``show``: dead letters for people and for scripts."""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.json_output import JsonOutput
from jobs.verbs.dlq import display
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.dead_letters import KafkaDeadLetters
from streaming.errors import ConfigurationError
from streaming.outputs.dead_letters import DeadLetter, Place, Selection
from streaming.settings import Settings


def list_letters(
    config: Path | None, overrides: Sequence[str], selection: Selection, limit: int, output: JsonOutput
) -> None:
    """Print a count by reason, and the ``limit`` newest of the selected letters.

    Raises:
        ConfigurationError: the settings are wrong, or there is no such topic.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    topic = letters_topic(settings, KafkaAdmin(settings.kafka, settings.application))
    counts: Counter[str] = Counter()
    letters = _counted(reader(settings, topic).read(selection), counts)
    # A heap: the topic may hold millions of letters, of which a few are shown.
    newest = heapq.nlargest(limit, letters, key=lambda letter: (letter.rejected_at, letter.place))
    totals = {"topic": topic.name, "total": counts.total(), "reasons": dict(counts.most_common())}
    output.write({**totals, "newest": [display.summary(letter) for letter in newest]})
    if output.replaces_text:
        return
    console = display.console_for_tables()
    console.print(f"{counts.total():,} dead letters on {topic.name}", highlight=False)
    if counts:
        console.print(display.counts_table(counts), display.letters_table(newest), sep="\n")


def show_letter(
    config: Path | None, overrides: Sequence[str], position: Place, output: JsonOutput, *, raw: bool
) -> None:
    """Print one dead letter, or with ``raw`` the bytes of its value.

    Raises:
        ConfigurationError: the settings are wrong, or there is no dead letter at ``position``.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    topic = letters_topic(settings, KafkaAdmin(settings.kafka, settings.application))
    letter = next(reader(settings, topic).read(Selection(places=frozenset({position}))), None)
    if letter is None:
        raise ConfigurationError(f"there is no dead letter at {position} of {topic.name}; penstock dlq list shows some")
    output.write(display.details(letter))
    if output.replaces_text:
        return
    if raw:
        # Past the text layer, which would decode the bytes and add a line break.
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
    else:
        display.console_for_tables().print(display.letter_page(letter, topic.name))


def letters_topic(settings: Settings, admin: KafkaAdmin) -> TopicInfo:
    """Describe the dead letters' topic; raises ``ConfigurationError`` if it is not there."""
    topic = admin.topic(settings.dead_letter_topic)
    if topic is None:
        raise ConfigurationError(
            f"there is no topic {settings.dead_letter_topic!r}; nothing was scored yet, or output.dead_letters names"
            " another one"
        )
    return topic


def reader(settings: Settings, topic: TopicInfo) -> KafkaDeadLetters:
    """Return the reader of the application's dead letters."""
    return KafkaDeadLetters(settings.kafka, settings.application, topic)


def _counted(letters: Iterator[DeadLetter], counts: Counter[str]) -> Iterator[DeadLetter]:
    for letter in letters:
        counts[letter.reason] += 1
        yield letter
