"""For subscribers: tells a prediction or dead letter that the live engine wrote twice from one that is new.

It needs the standard library alone, and may be copied into a subscriber's own code.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from operator import itemgetter

Headers = Iterable[tuple[str, bytes | None]]
"""A record's headers, as confluent-kafka and kafka-python give them."""

_REASON = "penstock-reason"
"""Dead letters have it, beside whatever headers their events had."""
_PREDICTION = (
    itemgetter("ce_source", "penstock-role", "penstock-source-topic", "penstock-source-partition"),
    "penstock-source-offset",
)
_DEAD_LETTER = (
    itemgetter("__connect.errors.connector.name", "__connect.errors.topic", "__connect.errors.partition"),
    "__connect.errors.offset",
)
"""What names the source, of which the last two are topic and partition; and the header with the offset."""
_STATE = "penstock.seen.v1"


class OffsetIntervals:
    """A set of offsets, kept as at most ``limit`` intervals that do not touch.

    Where there would be more, the lowest is forgotten. A forgotten offset counts as new when it comes again: a
    duplicate may pass, but what comes for the first time never counts as seen.

    >>> seen = OffsetIntervals(limit=2)
    >>> [seen.add(offset) for offset in (140, 150, 141, 150)], seen.bounds
    ([True, True, True, False], (140, 142, 150, 151))
    """

    def __init__(self, limit: int, bounds: Iterable[int] = ()) -> None:
        """Begin with the intervals of ``bounds``, of which only the highest ``limit`` are kept.

        Raises:
            ValueError: the limit is below 1, or the bounds are not those of intervals.
        """
        self._bounds = list(bounds)
        if limit < 1:
            raise ValueError(f"at least one interval must be kept, not {limit}")
        if len(self._bounds) % 2 or any(above <= below for below, above in pairwise(self._bounds)):
            raise ValueError("the bounds of intervals are pairs, and each is above the one before")
        self._most = 2 * limit
        del self._bounds[: -self._most]

    @property
    def bounds(self) -> tuple[int, ...]:
        """The first offset of each interval and the one after its last, ascending."""
        return tuple(self._bounds)

    def add(self, offset: int) -> bool:
        """Remember an offset, and return whether it is new."""
        bounds = self._bounds
        if bounds and bounds[-1] == offset:  # the next in order, as nearly always
            bounds[-1] = offset + 1
            return True
        at = bisect_right(bounds, offset)
        if at % 2:
            return False
        # An interval of its own; where it touches a neighbour, the bound between the two goes.
        joins_lower, joins_upper = bounds[at - 1 : at] == [offset], bounds[at : at + 1] == [offset + 1]
        own = [offset][joins_lower:] + [offset + 1][joins_upper:]
        bounds[at - joins_lower : at + joins_upper] = own
        if len(bounds) > self._most:
            del bounds[:2]
        return True


class Deduplicator:
    """Remembers which events' predictions and dead letters have been seen. For one thread.

    Applications, models, roles, topics and partitions are kept apart, and dead letters from predictions. Of each at
    most ``intervals`` intervals of offsets are remembered. Where that is too few a duplicate passes; what is not one is
    never held back, unless offsets begin anew (:meth:`reset`).
    """

    def __init__(self, intervals: int = 1_000) -> None:
        self._intervals = intervals
        self._seen: dict[tuple[bytes, ...], OffsetIntervals] = {}

    def is_new(self, headers: Headers | None) -> bool:
        """Return whether no record for the same event came before, and remember that this one did.

        A record without Penstock's headers is not ours to judge, and counts as new. If handling a new record fails and
        it is to be read again, go back to an earlier state with :meth:`from_json`; else it counts as seen.
        """
        values = dict(headers or ())
        naming, offset_header = _DEAD_LETTER if _REASON in values else _PREDICTION
        try:
            source, offset = naming(values), int(values[offset_header] or b"")
        except (KeyError, ValueError):
            return True
        seen = self._seen.get(source)
        if seen is None:
            if None in source:
                return True
            seen = self._seen[source] = OffsetIntervals(self._intervals)
        return seen.add(offset)

    def reset(self, topic: str | None = None) -> None:
        """Forget the events of one input topic, or all.

        Needed when the input topic was deleted and created anew, or its events are scored again on purpose. Offsets
        cannot tell: without a reset, such events' predictions are taken for duplicates.
        """
        gone = [source for source in self._seen if topic is None or source[-2] == topic.encode()]
        for source in gone:
            del self._seen[source]

    def to_json(self) -> str:
        """Return all that is remembered, as ASCII without line breaks."""
        seen = [[[_text(word) for word in source], offsets.bounds] for source, offsets in self._seen.items()]
        return json.dumps({_STATE: seen}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, intervals: int = 1_000) -> Deduplicator:
        """Go on from what :meth:`to_json` returned.

        Raises:
            ValueError: the text is something else.
        """
        made = cls(intervals)
        try:
            for source, bounds in json.loads(text)[_STATE]:
                made._seen[tuple(map(_bytes, source))] = OffsetIntervals(intervals, map(int, bounds))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"this is no state of a Deduplicator; begin with a new one ({error!r})") from error
        return made


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")
