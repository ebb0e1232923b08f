"""``penstock dlq replay``: send dead letters to the topics they came from, or show what that would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from itertools import islice
from pathlib import Path

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.json_output import JsonOutput
from jobs.verbs.dlq.display import SENT, Counts, replay_json, show_replay
from jobs.verbs.dlq.options import ResendOptions
from jobs.verbs.dlq.run import letters_topic, reader
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.dead_letters import KafkaReplays
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.outputs.dead_letters import DeadLetter, Place
from streaming.outputs.resend import Left, Replayed, Rules, decide
from streaming.outputs.targets import Target
from streaming.settings import Settings

_COMPACTED = {"cleanup.policy": "compact"}


def replay_letters(config: Path | None, overrides: Sequence[str], options: ResendOptions, output: JsonOutput) -> None:
    """Send the selected events again, or only simulate it, and print the results by reason.

    Raises:
        ConfigurationError: the settings are wrong, or a topic is not there.
        FencedError: another replay has begun.
        BrokerUnavailableError: Kafka does not answer; what was committed until then is not sent again.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    admin = KafkaAdmin(settings.kafka, settings.application)
    topic = letters_topic(settings, admin)
    if options.to == topic.name:
        raise ConfigurationError(f"--to-topic {options.to} is the dead letters' own topic; name another one")
    counts = _Replay(settings, admin, topic, options).run()
    output.write(replay_json(counts, sent=options.send))
    if not output.replaces_text:
        show_replay(counts, sent=options.send)


class _Replay:
    def __init__(self, settings: Settings, admin: KafkaAdmin, letters: TopicInfo, options: ResendOptions) -> None:
        self._settings = settings
        self._admin = admin
        self._letters = letters
        self._options = options
        self._rules = Rules(options.max_replays, options.again, keep_timestamp=settings.event.time is None)
        # Each topic is described once and not for each of its letters.
        self._destination: Callable[[str], Target] = cache(self._described)

    def run(self) -> Counts:
        memory = self._memory()
        kafka, application = self._settings.kafka, self._settings.application
        replays = KafkaReplays(kafka, application, self._settings.output.replays, self._letters)
        counts: Counts = Counter()
        with replays.sender(system_clock) if self._options.send else nullcontext() as sender:
            # Only now: no earlier run can add to it any more.
            done = replays.done() if memory else set()
            for letter, record in self._to_send(done, counts):
                if sender is not None:
                    sender.send(letter, record)
        return counts

    def _memory(self) -> TopicInfo | None:
        output = self._settings.output
        if self._options.send and output.create_topics:
            return self._admin.ensure_topic(output.replays, 1, _COMPACTED, output.replication_factor)
        topic = self._admin.topic(output.replays)
        if self._options.send and topic is None:
            raise ConfigurationError(
                f"there is no topic {output.replays!r} and output.create_topics is false; create it first, with one"
                " partition and cleanup.policy=compact"
            )
        return topic

    def _to_send(self, done: set[Place], counts: Counts) -> Iterator[tuple[DeadLetter, Replayed]]:
        return islice(self._decided(done, counts), self._options.limit)

    def _decided(self, done: set[Place], counts: Counts) -> Iterator[tuple[DeadLetter, Replayed]]:
        for letter in reader(self._settings, self._letters).read(self._options.selection):
            topic = self._options.to or letter.source_topic or self._settings.input.topic
            decision = decide(letter, self._destination(topic), done, self._rules)
            counts[letter.reason, topic, decision.value if isinstance(decision, Left) else SENT] += 1
            if isinstance(decision, Replayed):
                yield letter, decision

    def _described(self, name: str) -> Target:
        topic = self._admin.topic(name)
        if topic is None:
            raise ConfigurationError(f"there is no topic {name!r} to send to; name another one with --to-topic")
        return self._admin.target(topic)
