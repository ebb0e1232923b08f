"""What every format's decoders keep: the same columns and the same verdicts, over frames and in one process."""

from __future__ import annotations

from typing import Any, Protocol

import pyarrow as pa


class Decoder(Protocol):
    """Reads records in Spark, for the engines, batch and replay. Frames are ``Any``: this module loads no Spark."""

    def __call__(self, records: Any) -> Any:
        """Turn Kafka's columns into the source columns, the envelope with its verdict, and the features.

        Args:
            records: a frame of key, value, headers, partition, offset and timestamp.

        Returns:
            One row per record, in the record's partition and order; the features of a rejected row are those of a row
            on which the pipeline is known not to throw.
        """
        ...


class RowDecoder(Protocol):
    """Reads records in one process, for whatever scores without Spark."""

    def read(self, values: pa.BinaryArray) -> pa.RecordBatch:
        """Read the values of records.

        Args:
            values: one value per record, null for a tombstone.

        Returns:
            One row per value: ``event_id``, ``event_time`` and ``subject`` by the names of
            :mod:`streaming.events.columns`, null where the envelope names no field for them; ``verdict``, a struct of
            reason and field, null for a valid event; and the features by their names in the signature. Of a rejected
            event everything but the verdict is null.
        """
        ...
