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
        """Return whether the version may have made it. A dead letter names the version's number alone."""
        return self.version == key.version and self.model in ("", key.name)

    @property
    def made_at(self) -> str:
        """The time at which its batch was scored, RFC 3339 in UTC; empty if the record does not tell."""
        if self.kind == "dead letter":
            return _texts(self.record).get(dead_letter.REJECTED_AT, "")
        return str(_fields(self.record.value).get("scored_at", ""))

    def event_id(self, field: str | None) -> str | None:
        """Return the event's id; in a dead letter it stands where it stood in the event, under ``field``."""
        name = "event_id" if self.kind == "prediction" else field
        value = _fields(self.record.value).get(name) if name else None
        return None if value is None else str(value)


def read_output(record: Stored) -> Output | None:
    """Read what Penstock wrote; ``None`` for anything else on the topic."""
    headers = _texts(record)
    try:
        return _dead_letter(record, headers) if dead_letter.REASON in headers else _prediction(record, headers)
    except (KeyError, IndexError, ValueError):
        return None


def _dead_letter(record: Stored, headers: Mapping[str, str]) -> Output:
    names = dead_letter.ERROR_TOPIC, dead_letter.ERROR_PARTITION, dead_letter.ERROR_OFFSET
    application, version = headers[dead_letter.ERROR_CONNECTOR], int(headers[dead_letter.MODEL_VERSION])
    source = _source(*(headers[name] for name in names))
    name = headers.get(dead_letter.MODEL_NAME, "")
    return Output("dead letter", record, source, application, version, name, reason=headers[dead_letter.REASON])


def _prediction(record: Stored, headers: Mapping[str, str]) -> Output:
    names = prediction.SOURCE_TOPIC, prediction.SOURCE_PARTITION, prediction.SOURCE_OFFSET
    application, version = headers[prediction.CE_SOURCE].split("/")[2], int(headers[prediction.MODEL_VERSION])
    source = _source(*(headers[name] for name in names))
    return Output(
        "prediction", record, source, application, version, headers[prediction.MODEL_NAME], headers[prediction.RUN_ID]
    )


def _source(topic: str, partition: str, offset: str) -> tuple[str, int, int]:
    return topic, int(partition), int(offset)


def _texts(record: Stored) -> dict[str, str]:
    """Return the headers by name. The last of a name counts: a dead letter's added ones follow the event's own."""
    return {name: (word or b"").decode("utf-8", "replace") for name, word in record.headers}


def _fields(value: bytes | None) -> dict[str, Any]:
    try:
        fields = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
