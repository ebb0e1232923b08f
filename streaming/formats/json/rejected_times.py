"""The event time of rejected JSON, which its dead letter names where it can be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from streaming.formats.json.strict import NotJsonError, strict_json
from streaming.formats.json.values import FieldError, epoch_time, iso_time
from streaming.settings import EventSettings

_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class RejectedTimes:
    """Reads the times of rejected events; ``envelope`` and ``max_value_bytes`` are as the decoder has them."""

    envelope: EventSettings
    max_value_bytes: int

    def __call__(self, values: pa.BinaryArray) -> pa.TimestampArray:
        """Return the times; null where a value is not strict JSON or has no valid time."""
        return pa.array([self._time(value) for value in values.to_pylist()], _MOMENT)

    def _time(self, value: bytes | None) -> datetime | None:
        if value is None or len(value) > self.max_value_bytes:
            return None
        try:
            event = strict_json(value.decode("utf-8"))
        except (UnicodeDecodeError, NotJsonError):
            return None
        if not isinstance(event, dict):
            return None
        try:
            return (iso_time if self.envelope.time_format == "iso8601" else epoch_time)(event.get(self.envelope.time))
        except FieldError:
            return None
