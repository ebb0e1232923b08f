"""Kafka's columns and what a decoder of rows read, as the Arrow batch that a decoder in Spark would leave."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from streaming.events import columns as c
from streaming.settings import EventSettings

_MOMENT = pa.timestamp("us", tz="UTC")


def decoded_rows(records: pa.RecordBatch, read: pa.RecordBatch, envelope: EventSettings) -> pa.RecordBatch:
    """Put together what :meth:`streaming.events.decode.JsonDecoder.__call__` returns.

    Args:
        records: key, value, headers, partition, offset and timestamp, as Spark's Kafka source gives them.
        read: what a :class:`streaming.formats.decoder.RowDecoder` made of the values.
        envelope: names the fields of id, key and time. Without an id the event's is its position, without a key the
            subject is the record's own where that is UTF-8, and without a time it is the record's.

    Returns:
        The source columns, the envelope with its verdict, and the features; features of a rejected event are null, and
        so are an id and a subject that its value should have named.
    """
    columns = {name: records.column(name.removeprefix(c.PREFIX)) for name in c.SOURCE}
    columns[c.EVENT_ID] = read.column(c.EVENT_ID) if envelope.id else _positions(records)
    columns[c.EVENT_TIME] = read.column(c.EVENT_TIME) if envelope.time else _moments(records)
    columns[c.SUBJECT] = read.column(c.SUBJECT) if envelope.key else _texts(records.column("key"))
    columns[c.VERDICT] = read.column(c.VERDICT)
    columns |= {name: read.column(name) for name in read.schema.names if name not in c.ENVELOPE}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _positions(records: pa.RecordBatch) -> pa.StringArray:
    partitions, offsets = (records.column(name).cast(pa.string()) for name in ("partition", "offset"))
    return pc.binary_join_element_wise(partitions, offsets, "-")


def _moments(records: pa.RecordBatch) -> pa.TimestampArray:
    return records.column("timestamp").cast(_MOMENT)


def _texts(keys: pa.BinaryArray) -> pa.StringArray:
    try:
        return keys.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(key) for key in keys.to_pylist()], pa.string())


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode("utf-8")
    except UnicodeDecodeError:
        return None
