"""Both sides' answers to each event in one row: what was recorded, and what the candidate says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming.errors import DataError

SIDES = ("recorded", "candidate")
_PLACE = ["partition", "offset"]
_EVENT = {
    "partition": pa.int32(),
    "offset": pa.int64(),
    "event_id": pa.string(),
    "event_time": pa.timestamp("us", "UTC"),
}
_ANSWER = {
    "prediction": pa.float64(),
    "label": pa.string(),
    "probability": pa.list_(pa.float64()),
    "model_version": pa.int64(),
    "reason": pa.string(),
}

SCHEMA = pa.schema([*_EVENT.items(), *((f"{side}_{name}", kind) for side in SIDES for name, kind in _ANSWER.items())])
"""A pair. A side without a prediction has a ``reason`` if it made a dead letter of the event, and else nothing."""


def pair(recorded: pa.Table, candidate: pa.Table) -> pa.Table:
    """Join the two sides by partition and offset, in that order; an event may be missing on either side.

    Args:
        recorded: what was served: partition, offset, and of event_id, event_time (RFC 3339 text or a timestamp),
            prediction, label, probability, model_version and reason those that are there. Other columns are left out.
        candidate: the same of the candidate.

    Raises:
        DataError: a side answers the same event twice.
    """
    tables = {"recorded": recorded, "candidate": candidate}
    rows = _rows(tables)
    columns = {name: rows[name] for name in _PLACE}
    for name in ("event_id", "event_time"):
        columns[name] = pc.coalesce(*(_column(tables[side], name, _EVENT[name], rows[side]) for side in SIDES))
    for side in SIDES:
        for name, kind in _ANSWER.items():
            columns[f"{side}_{name}"] = _column(tables[side], name, kind, rows[side])
    return pa.table(columns).select(SCHEMA.names).cast(SCHEMA)


def _rows(tables: dict[str, pa.Table]) -> pa.Table:
    """Join the places alone: for each, its row in either table. Arrow's join cannot carry lists."""
    places = []
    for side, table in tables.items():
        position = pa.table({name: table[name].cast(_EVENT[name]) for name in _PLACE})
        if twice := table.num_rows - position.group_by(_PLACE).aggregate([]).num_rows:
            raise DataError(
                f"{twice} of {table.num_rows} rows of the {side} side have a partition and offset that another row has;"
                " compare the output of one replay with one recording"
            )
        places.append(position.append_column(side, pa.array(np.arange(table.num_rows))))
    joined = places[0].join(places[1], _PLACE, join_type="full outer")
    return joined.sort_by([(name, "ascending") for name in _PLACE])


def _column(table: pa.Table, name: str, kind: pa.DataType, rows: pa.ChunkedArray) -> pa.ChunkedArray:
    column = table[name].cast(kind) if name in table.column_names else pa.nulls(table.num_rows, kind)
    return column.take(rows)
