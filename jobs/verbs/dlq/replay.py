"""``penstock dlq replay``: dead letters back to the topics they came from, or word of what that would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.text import text_of
from jobs.verbs.dlq.run import console_for_tables, letters_topic, reader
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.dead_letters import KafkaReplays
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.outputs.dead_letters import DeadLetter, Place, Selection
from streaming.outputs.resend import Left, Replayed, Rules, decide
from streaming.outputs.targets import Target
from streaming.settings import Settings

Counts = Counter[tuple[str, str, str]]
"""Reason, topic and what is done with them, to how many."""
SENT = "sent"
_COMPACTED = {"cleanup.policy": "compact"}


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    selection: Selection
    to: str | None
    limit: int | None
    max_replays: int
    again: bool
    send: bool


def replay_letters(config: Path | None, overrides: Sequence[str], order: Order, *, as_json: bool) -> None:
    """Send the selected events again, or only say so, and print what became of them by reason.

    Raises:
        ConfigurationError: the settings are wrong, or a topic is not there.
        FencedError: another replay has begun.
        BrokerUnavailableError: Kafka does not answer; what was committed until then is not sent again.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    admin = KafkaAdmin(settings.kafka, settings.application)
    topic = letters_topic(settings, admin)
    if order.to == topic.name:
        raise ConfigurationError(f"--to {order.to} is the dead letters' own topic; name another one")
    counts = _Replay(settings, admin, topic, order).run()
    print(_json(counts, order)) if as_json else _print(counts, order)


class _Replay:
    def __init__(self, settings: Settings, admin: KafkaAdmin, letters: TopicInfo, order: Order) -> None:
        self._settings = settings
        self._admin = admin
        self._letters = letters
        self._order = order
        self._rules = Rules(order.max_replays, order.again, keep_timestamp=settings.event.time is None)
        self._destination: Callable[[str], Target] = cache(self._described)

    def run(self) -> Counts:
        memory = self._memory()
        kafka, application = self._settings.kafka, self._settings.application
        replays = KafkaReplays(kafka, application, self._settings.output.replays, self._letters)
        counts: Counts = Counter()
        with replays.sender(system_clock) if self._order.send else nullcontext() as sender:
            # Only now: no earlier run can add to it any more.
            done = replays.done() if memory else set()
            for letter, record in self._to_send(done, counts):
                if sender is not None:
                    sender.send(letter, record)
        return counts

    def _memory(self) -> TopicInfo | None:
        output = self._settings.output
        if self._order.send and output.create_topics:
            return self._admin.ensure_topic(output.replays, 1, _COMPACTED, output.replication_factor)
        found = self._admin.topic(output.replays)
        if self._order.send and found is None:
            raise ConfigurationError(
                f"there is no topic {output.replays!r} and output.create_topics is false; create it first, with one"
                " partition and cleanup.policy=compact"
            )
        return found

    def _to_send(self, done: set[Place], counts: Counts) -> Iterator[tuple[DeadLetter, Replayed]]:
        return islice(self._decided(done, counts), self._order.limit)

    def _decided(self, done: set[Place], counts: Counts) -> Iterator[tuple[DeadLetter, Replayed]]:
        for letter in reader(self._settings, self._letters).read(self._order.selection):
            topic = self._order.to or letter.source_topic or self._settings.input.topic
            found = decide(letter, self._destination(topic), done, self._rules)
            counts[letter.reason, topic, found.value if isinstance(found, Left) else SENT] += 1
            if isinstance(found, Replayed):
                yield letter, found

    def _described(self, name: str) -> Target:
        topic = self._admin.topic(name)
        if topic is None:
            raise ConfigurationError(f"there is no topic {name!r} to send to; name another one with --to")
        return self._admin.target(topic)


def _json(counts: Counts, order: Order) -> str:
    rows = [
        {"reason": reason, "topic": topic, "result": SENT if what == SENT else Left(what).name.lower(), "events": count}
        for (reason, topic, what), count in sorted(counts.items())
    ]
    return json.dumps({"sent": order.send, "events": _sent(counts), "by_reason": rows})


def _print(counts: Counts, order: Order) -> None:
    table = Table("reason", "to", Column("events", justify="right"), "", box=None)
    for (reason, topic, what), count in sorted(counts.items()):
        said = ("sent" if order.send else "would be sent") if what == SENT else f"left: {what}"
        table.add_row(Text(text_of(reason.encode())), Text(text_of(topic.encode())), f"{count:,}", said)
    console = console_for_tables()
    if counts:
        console.print(table)
    console.print(_last_line(counts, order), highlight=False)


def _last_line(counts: Counts, order: Order) -> str:
    if order.send:
        return f"Sent: {_sent(counts):,}."
    return f"Nothing was sent. To send: {_sent(counts):,}; add --send to do it."


def _sent(counts: Counts) -> int:
    return sum(count for (_, _, what), count in counts.items() if what == SENT)
