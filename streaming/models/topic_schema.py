"""A signature compared with recent events of the topic: most of them must have what the model needs.

A candidate that would send the whole stream to the dead letters is refused before it serves. One odd event proves
nothing, so a column counts as missing when more than half of a sample lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Column, Signature
from streaming.refusal_codes import RefusalCode
from streaming.settings import EventSettings

_INTEGERS = {"long": 2**63, "integer": 2**31}


class EventSample(Protocol):
    """Gives recent records of the input topic; ``adapters/kafka/admin.py`` implements it."""

    def recent(self, count: int, /) -> Sequence[bytes]:
        """Return the values of up to ``count`` of the topic's last records, tombstones left out.

        Raises:
            BrokerUnavailableError: no answer in time.
        """
        ...


class NoEvents:
    """An :class:`EventSample` where there is no topic to compare a version with: it fits any."""

    def recent(self, _: int, /) -> Sequence[bytes]:
        """Return no event."""
        return ()


@dataclass(frozen=True)
class TopicCheck:
    """Compares candidates with a sample of the topic."""

    sample: EventSample
    envelope: EventSettings
    size: int = 200
    looked_up: Collection[str] = ()
    """Columns that the topic need not have."""

    def check(self, signature: Signature) -> None:
        """Accept the signature, or say which columns most events lack; an empty topic accepts everything.

        Raises:
            CandidateRefusedError: ``SIGNATURE_MISMATCH``.
            BrokerUnavailableError: the sample cannot be taken.
        """
        unmet = unmet_columns(signature.without(self.looked_up), self.sample.recent(self.size), self.envelope)
        if unmet:
            raise CandidateRefusedError(
                RefusalCode.SIGNATURE_MISMATCH,
                f"most recent events do not fit the model's signature: {'; '.join(unmet)}."
                " Publish these columns first, or log the version with the columns that the topic has.",
            )


def unmet_columns(signature: Signature, values: Iterable[bytes], envelope: EventSettings) -> tuple[str, ...]:
    """Say of each column that more than half of the readable events do not satisfy what is wrong with it.

    Events that are not JSON objects or lack the envelope are dead letters for every version, so they are left out.

    >>> unmet_columns(Signature.from_config({"x": "double"}), [b'{"x": "1"}'], EventSettings(id=None, time=None))
    ('x is absent in 0 and not double in 1 of 1',)
    """
    events = [event for event in _readable(values) if _has_envelope(event, envelope)]
    return tuple(text for column in signature.columns if (text := _complaint(column, events)))


def _readable(values: Iterable[bytes]) -> Iterator[Mapping[str, object]]:
    for value in values:
        try:
            event = json.loads(value)
        # Python's parser is recursive, and an event may be nested as deep as its sender likes.
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _has_envelope(event: Mapping[str, object], envelope: EventSettings) -> bool:
    return all(event.get(name) is not None for name in (envelope.id, envelope.time, envelope.key) if name)


def _complaint(column: Column, events: Sequence[Mapping[str, object]]) -> str | None:
    absent = sum(event.get(column.name) is None for event in events) if column.required else 0
    wrong = sum(not _fits(event.get(column.name), column) for event in events)
    if 2 * (absent + wrong) <= len(events):
        return None
    return f"{column.name} is absent in {absent} and not {column.kind} in {wrong} of {len(events)}"


def _fits(value: object, column: Column) -> bool:
    if value is None:
        return True
    if column.is_list:
        element = replace(column, length=None)
        return (
            isinstance(value, list)
            and len(value) == column.length
            and all(number is not None and _fits(number, element) for number in value)
        )
    if column.type == "string":
        return isinstance(value, str)
    # Python counts True as a number.
    if column.type == "boolean" or isinstance(value, bool):
        return column.type == "boolean" and isinstance(value, bool)
    if column.is_floating:
        return isinstance(value, int | float)
    limit = _INTEGERS[column.type]
    return isinstance(value, int) and -limit <= value < limit
