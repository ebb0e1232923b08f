"""The JSON values of many predictions at once, made column by column.

The bytes are those that :class:`streaming.outputs.arrow_values.ValueWriter` writes of each row. It takes about half of
the time, because no row becomes a Python object of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming.events import columns as c

_TEXTS = (c.EVENT_ID, c.EVENT_TIME, c.LABEL)
_NUMBERS = (c.PREDICTION, c.CONFIDENCE)

Part: TypeAlias = pa.BinaryArray | bytes
"""A piece of every value: one for each row, or the same for all; a null is JSON's."""


def joined_values(scored: pa.RecordBatch, head: Part, tail: Part) -> pa.BinaryArray | None:
    """Return the JSON of n rows, which all are predictions.

    Args:
        scored: the columns that :func:`streaming.outputs.arrow_values.prediction_values` reads.
        head: that of the :class:`streaming.outputs.arrow_values.ValueWriter` of each row.
        tail: likewise.

    Returns:
        ``None`` where a row has to be written by itself: a text has a quote, a backslash or a control character, a
        number is infinite, or the rows have differently many probabilities.
    """
    event_id, event_time, label = (scored.column(name).cast(pa.binary()) for name in _TEXTS)
    probabilities = _probabilities(scored.column(c.PROBABILITY))
    numbers = [scored.column(name) for name in _NUMBERS]
    if probabilities is None or _has_escapes(event_id) or _has_escapes(label) or not all(map(_is_finite, numbers)):
        return None
    prediction, confidence = map(_spelled, numbers)
    parts: list[Part] = [head, _digits(scored.column(c.PARTITION)), b":", _digits(scored.column(c.OFFSET))]
    parts += [b'","event_id":"', event_id, b'","event_time":"', event_time, b'","prediction":', prediction]
    parts += [b',"label":', _quoted(label), b',"probability":', *_listed(probabilities)]
    parts += [b',"confidence":', confidence, tail]
    return pc.binary_join_element_wise(*_merged(parts), b"", null_handling="replace", null_replacement=b"null")


def _has_escapes(texts: pa.BinaryArray) -> bool:
    """Return whether a text has a byte that JSON escapes, without looking at each text."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return False
    first, after = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    signs = np.frombuffer(data, np.uint8)[first:after]
    return bool((signs < ord(" ")).any() or (signs == ord('"')).any() or (signs == ord("\\")).any())


def _is_finite(numbers: pa.DoubleArray) -> bool:
    # A null is JSON's null.
    return bool(pc.all(pc.is_finite(numbers), min_count=0).as_py())


def _probabilities(lists: pa.ListArray) -> list[pa.DoubleArray] | None:
    """Return the k-th probability of each row for each k, nothing if no row has any; ``None`` where they differ."""
    if lists.null_count == len(lists):
        return []
    numbers, width = lists.flatten(), len(lists[0]) if lists[0].is_valid else 0
    if lists.null_count or numbers.null_count or width == 0 or not _is_finite(numbers):
        return None
    if not pc.all(pc.equal(pc.list_value_length(lists), width)).as_py():
        return None
    return [pa.array(column) for column in numbers.to_numpy().reshape(-1, width).T]


def _digits(numbers: pa.Array) -> pa.BinaryArray:
    return numbers.cast(pa.string()).cast(pa.binary())


def _spelled(numbers: pa.DoubleArray) -> Part:
    """Return finite doubles as JSON, spelled as a single prediction's are."""
    if numbers.null_count == len(numbers):
        return b"null"
    texts = msgspec.json.encode(numbers.to_pylist() if numbers.null_count else numbers.to_numpy().tolist())
    return pa.array(texts[1:-1].split(b","), pa.binary())


def _quoted(texts: pa.BinaryArray) -> Part:
    if texts.null_count == len(texts):
        return b"null"
    return pc.binary_join_element_wise(b'"', texts, b'"', b"")


def _listed(columns: Sequence[pa.DoubleArray]) -> Iterator[Part]:
    """Yield the pieces of a list of numbers, or null."""
    if not columns:
        yield b"null"
        return
    for position, column in enumerate(columns):
        yield b"," if position else b"["
        yield _spelled(column)
    yield b"]"


def _merged(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts with constants that follow each other as one."""
    constant = b""
    for part in parts:
        if isinstance(part, bytes):
            constant += part
            continue
        if constant:
            yield constant
        yield part
        constant = b""
    yield constant
