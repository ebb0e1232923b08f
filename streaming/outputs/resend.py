"""Whether a dead letter is sent again, and as what: the original bytes, and a count that ends the circle."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from schemas import dead_letter as contract
from streaming.outputs.dead_letters import DeadLetter, Headers, Place
from streaming.outputs.targets import Target

_RESERVED = (contract.REPLAYS, contract.ORIGINAL_TIMESTAMP)
_OVERHEAD = 512
"""Bytes of framing that count against a topic's limit."""


@dataclass(frozen=True)
class Rules:
    """What is sent. ``again``: also what was sent before. ``keep_timestamp``: the record's timestamp is the event's."""

    max_replays: int = 3
    again: bool = False
    keep_timestamp: bool = False


@dataclass(frozen=True)
class Replayed:
    """The record to send. ``partition`` is ``None`` where the key decides, ``timestamp`` where it is now."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int | None

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        header_bytes = sum(len(name) + len(word or b"") for name, word in self.headers)
        return len(self.key or b"") + len(self.value or b"") + header_bytes


class Left(str, Enum):
    """Why a dead letter is not sent."""

    SENT_BEFORE = "sent before; --again sends it once more"
    TOO_OFTEN = "sent too often already (--max-replays)"
    VALUE_OMITTED = "its value was too large for the dead letters' topic and is not there"
    NO_KEY = "has no key, and the topic is compacted, which takes none without one"
    TOO_LARGE = "too large for the topic with the headers that count replays"


def decide(letter: DeadLetter, to: Target, done: Container[Place], rules: Rules) -> Replayed | Left:
    """Return the record to send to ``to``, or why there is none; ``done`` are the letters that were sent before."""
    if letter.value_omitted:
        return Left.VALUE_OMITTED
    if letter.place in done and not rules.again:
        return Left.SENT_BEFORE
    if letter.replays >= rules.max_replays:
        return Left.TOO_OFTEN
    if to.compacted and letter.key is None:
        return Left.NO_KEY
    record = _record(letter, to, rules.keep_timestamp)
    return record if record.size + _OVERHEAD <= to.max_record_bytes else Left.TOO_LARGE


def _record(letter: DeadLetter, to: Target, keep_timestamp: bool) -> Replayed:
    # The same partition, so that events of one key stay in one.
    partition = letter.source.partition if letter.source and letter.source.partition < to.partitions else None
    own = tuple(header for header in letter.own if header[0] not in _RESERVED)
    first = dict(letter.own).get(contract.ORIGINAL_TIMESTAMP) or str(letter.timestamp).encode()
    counted = (contract.REPLAYS, str(letter.replays + 1).encode()), (contract.ORIGINAL_TIMESTAMP, first)
    # A record with the old timestamp could fall to the topic's retention before anybody reads it.
    timestamp = letter.timestamp if keep_timestamp else None
    return Replayed(to.topic, partition, letter.key, letter.value, (*own, *counted), timestamp)
