"""The bodies of MLflow's scoring protocol as events: four forms of JSON, of which one must be there, and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from streaming.models.signature import Column, Signature
from streaming.serving.cell_events import NULL, column_events, table_events
from streaming.serving.problems import ProblemError

FORMATS = ("dataframe_records", "dataframe_split", "inputs", "instances")
FORM, SCHEMA = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"
"""MLflow's codes of errors: of a body that it cannot read, and of one without the columns that the model reads."""
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_FLAGS = {"true": b"true", "false": b"false"}


def json_events(body: bytes, signature: Signature) -> list[bytes]:
    """Return the events of a body with one of :data:`FORMATS`, and perhaps ``params``.

    Raises:
        ProblemError: 400; it is something else.
    """
    document = _decoded(body, dict[str, msgspec.Raw], f"the body is no JSON object with one of {', '.join(FORMATS)}")
    present = [name for name in FORMATS if name in document]
    if len(present) != 1:
        raise wrong(f"the body must have exactly one of {', '.join(FORMATS)}; it has {', '.join(present) or 'none'}")
    if "params" in document:
        _decoded(document["params"], dict[str, msgspec.Raw] | None, "params is no JSON object")
    return _READERS[present[0]](document[present[0]], signature)


def _records(raw: msgspec.Raw, _: Signature) -> list[bytes]:
    return [bytes(row) for row in _decoded(raw, list[msgspec.Raw], "dataframe_records is no list of records")]


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    data: list[list[msgspec.Raw]]
    columns: list[str] | None = None
    index: msgspec.Raw = msgspec.Raw()


def _split(raw: msgspec.Raw, _: Signature) -> list[bytes]:
    split = _decoded(raw, _Split, "dataframe_split is no object with data, columns and perhaps index")
    columns = split.columns
    if columns is None:
        raise wrong("dataframe_split names no columns; the model reads columns by their names", SCHEMA)
    for number, row in enumerate(split.data):
        if len(row) != len(columns):
            raise wrong(f"row {number} of dataframe_split has {len(row)} values, and there are {len(columns)} columns")
    return table_events(columns, (list(map(bytes, row)) for row in split.data))


def _instances(raw: msgspec.Raw, signature: Signature) -> list[bytes]:
    rows = list(map(bytes, _decoded(raw, list[msgspec.Raw], "instances is no list")))
    if rows and all(row.startswith(b"{") for row in rows):
        return rows
    return _only_column(rows, signature, "instances")


def _inputs(raw: msgspec.Raw, signature: Signature) -> list[bytes]:
    if not bytes(raw).startswith(b"{"):
        rows = list(map(bytes, _decoded(raw, list[msgspec.Raw], "inputs is neither an object nor a list")))
        return rows if rows and rows[0].startswith(b"{") else _only_column(rows, signature, "inputs")
    named = _decoded(raw, dict[str, msgspec.Raw], "inputs is no object of columns")
    columns = {name: _column(name, bytes(values)) for name, values in named.items()}
    if len({len(values) for values in columns.values()}) > 1:
        raise wrong("the columns of inputs are not equally long", SCHEMA)
    return column_events(columns)


def _column(name: str, values: bytes) -> list[bytes]:
    """Return a column's values; a single value is a column of one row."""
    if not values.startswith(b"["):
        return [values]
    return list(map(bytes, _decoded(values, list[msgspec.Raw], f"the column {name} of inputs is no list of values")))


def _only_column(rows: Sequence[bytes], signature: Signature, form: str) -> list[bytes]:
    if len(signature.names) != 1:
        columns = len(signature.names)
        raise wrong(f"{form} is no list of objects, and the model reads {columns} columns by their names", SCHEMA)
    return column_events({signature.names[0]: rows})


_READERS: dict[str, Callable[[msgspec.Raw, Signature], list[bytes]]] = {
    "dataframe_records": _records,
    "dataframe_split": _split,
    "inputs": _inputs,
    "instances": _instances,
}


def csv_events(body: bytes, signature: Signature) -> list[bytes]:
    """Return the events of CSV with a header. A cell is what its column's type makes of it; an empty one is null.

    Raises:
        ProblemError: 400; it is not UTF-8, has no header, or a row is longer or shorter than that.
    """
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise wrong(f"the body is no CSV in UTF-8: {problem}") from None
    if not rows:
        raise wrong("the body has no line with the columns' names")
    names, *data = rows
    if not data:
        raise wrong("the body has no row behind its header")
    if len(set(names)) != len(names):
        raise wrong("the body's first line has a name twice")
    for number, row in enumerate(data, 2):
        if len(row) != len(names):
            raise wrong(f"line {number} has {len(row)} values, and there are {len(names)} columns")
    types = {column.name: column for column in signature.columns}
    columns = [types.get(name) for name in names]
    return table_events(names, (list(map(_cell, row, columns)) for row in data))


def _cell(text: str, column: Column | None) -> bytes:
    if text == "":
        return NULL
    if column is None or column.type == "string":
        return msgspec.json.encode(text)
    if column.type == "boolean":
        return _FLAGS.get(text.lower()) or msgspec.json.encode(text)
    # A list is written in its cell as in JSON; the decoder judges it.
    if column.is_list and text.startswith("[") and _is_json(text):
        return text.encode()
    # What is no number of JSON goes on as text, and the decoder says that it is of the wrong type.
    return text.encode() if _NUMBER.fullmatch(text) else msgspec.json.encode(text)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True


def _decoded(raw: bytes | msgspec.Raw, kind: Any, otherwise: str) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise wrong(f"{otherwise}: {problem}") from None


def wrong(detail: str, code: str = FORM) -> ProblemError:
    """Return the problem of a body that MLflow's protocol or the model does not take, with MLflow's own members."""
    return ProblemError(400, "bad-request", detail, error_code=code, message=detail)
