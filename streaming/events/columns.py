"""The columns Penstock adds to a frame of events. The prefix keeps them apart from a model's own columns."""

from __future__ import annotations

import pyarrow as pa

PREFIX = "__penstock_"

KEY = PREFIX + "key"
VALUE = PREFIX + "value"
HEADERS = PREFIX + "headers"
PARTITION = PREFIX + "partition"
OFFSET = PREFIX + "offset"
TIMESTAMP = PREFIX + "timestamp"
EVENT_ID = PREFIX + "event_id"
EVENT_TIME = PREFIX + "event_time"
SUBJECT = PREFIX + "subject"
VERDICT = PREFIX + "verdict"
"""Null for a valid event, else a struct of ``reason`` and ``field``, as :class:`schemas.dead_letter.Rejection` says."""
VERDICT_TYPE = "struct<reason: string, field: string>"

PREDICTION = PREFIX + "prediction"
PROBABILITY = PREFIX + "probability"
CONFIDENCE = PREFIX + "confidence"
LABEL = PREFIX + "label"
RESULTS = pa.schema(
    [
        pa.field(PREDICTION, pa.float64()),
        pa.field(PROBABILITY, pa.list_(pa.float64())),
        pa.field(LABEL, pa.string()),
        pa.field(CONFIDENCE, pa.float64()),
    ]
)
"""A model's answer, as :mod:`streaming.scoring.results` makes it of a pipeline's own columns; null where it has none.
"""

BINS = PREFIX + "bins"
"""The reference profile's bin of each profiled column, as an array of numbers from 0 to 255."""

ARM = PREFIX + "arm"
"""Where a batch has several arms: the number of the row's, a byte, 0 for the champion's. With one arm, no column."""

LOOKUP = PREFIX + "lookup"
"""What became of the event's lookup, a value of :class:`schemas.prediction.LookupStanding`; null where an event was
rejected before. Without lookups, no column, as with the next."""
LOOKUP_AGE = PREFIX + "lookup_age"
"""Milliseconds: the age of the record that was looked up; null where there is none."""
LOOKED_UP = pa.schema([(LOOKUP, pa.string()), (LOOKUP_AGE, pa.int64())])

SOURCE = (KEY, VALUE, HEADERS, PARTITION, OFFSET, TIMESTAMP)
"""What a record brought, untouched."""

RECORD = tuple(name.removeprefix(PREFIX) for name in SOURCE)
"""The same by Kafka's own names, as Spark's source gives them."""

ENVELOPE = (EVENT_ID, EVENT_TIME, SUBJECT, VERDICT)
"""What decoding found out about it."""
