"""An output as it stands on its topic, read back: which record of the input it answers, and which version made it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from schemas import dead_letter, prediction
from streaming.models.ref import ModelKey

Kind = Literal["prediction", "dead letter"]


@dataclass(frozen=True)
class Stored:
    """A record as a client hands it over: where it is, and what it holds."""

    topic: str
    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


@dataclass(frozen=True)
class Output:
    """A prediction or a dead letter.

    ``reason`` is a dead letter's alone, ``run_id`` a prediction's. A dead letter has ``model`` where its job has many.
    """

    kind: Kind
    record: Stored
    source: tuple[str, int, int]
    application: str
    version: int
    model: str = ""
    run_id: str = ""
    reason: str = ""

    def may_be_of(self, key: ModelKey) -> bool:
        """Whether the version can have made it; a dead letter has the version's number alone."""
        return self.version == key.version and self.model in ("", key.name)

    @property
    def made_at(self) -> str:
        """When its batch was scored, RFC 3339 in UTC; empty where the record does not tell."""
        if self.kind == "dead letter":
            return _texts(self.record).get(dead_letter.REJECTED_AT, "")
        return str(_fields(self.record.value).get("scored_at", ""))

    def event_id(self, field: str | None) -> str | None:
        """Return the event's id; in a dead letter it stands where it stood in the event, under ``field``."""
        name = "event_id" if self.kind == "prediction" else field
        found = _fields(self.record.value).get(name) if name else None
        return None if found is None else str(found)


def read_output(record: Stored) -> Output | None:
    """Read what Penstock wrote; ``None`` for anything else on the topic."""
    words = _texts(record)
    try:
        return _dead_letter(record, words) if dead_letter.REASON in words else _prediction(record, words)
    except (KeyError, IndexError, ValueError):
        return None


def _dead_letter(record: Stored, words: Mapping[str, str]) -> Output:
    names = dead_letter.ERROR_TOPIC, dead_letter.ERROR_PARTITION, dead_letter.ERROR_OFFSET
    application, version = words[dead_letter.ERROR_CONNECTOR], int(words[dead_letter.MODEL_VERSION])
    place = _place(*(words[name] for name in names))
    name = words.get(dead_letter.MODEL_NAME, "")
    return Output("dead letter", record, place, application, version, name, reason=words[dead_letter.REASON])


def _prediction(record: Stored, words: Mapping[str, str]) -> Output:
    names = prediction.SOURCE_TOPIC, prediction.SOURCE_PARTITION, prediction.SOURCE_OFFSET
    application, version = words[prediction.CE_SOURCE].split("/")[2], int(words[prediction.MODEL_VERSION])
    place = _place(*(words[name] for name in names))
    return Output(
        "prediction", record, place, application, version, words[prediction.MODEL_NAME], words[prediction.RUN_ID]
    )


def _place(topic: str, partition: str, offset: str) -> tuple[str, int, int]:
    return topic, int(partition), int(offset)


def _texts(record: Stored) -> dict[str, str]:
    """The last header of a name counts, as on a dead letter the added ones come after the event's own."""
    return {name: (word or b"").decode("utf-8", "replace") for name, word in record.headers}


def _fields(value: bytes | None) -> dict[str, Any]:
    try:
        fields = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
