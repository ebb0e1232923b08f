"""Events as the inputs of an ONNX graph: one matrix, or a column for each input, as in MLflow's ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.models.arrow_types import list_rows
from streaming.models.signature import Column, Signature
from streaming.scoring.flavours.matrix import check_numbers, matrix, unfit, width_of

Feed = Callable[[pa.RecordBatch], dict[str, NDArray[Any]]]
"""Makes a graph's inputs, by their names, of events."""

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_EXACT = {"tensor(int64)": pa.int64(), "tensor(int32)": pa.int32(), "tensor(bool)": pa.bool_()}
_TEXT = "tensor(string)"


def feed_for(inputs: Sequence[Any], signature: Signature) -> Feed:
    """Return what feeds a graph.

    Args:
        inputs: the runtime's descriptions of them, with ``name``, ``type`` and ``shape``.
        signature: the columns of events.

    Raises:
        CandidateRefusedError: ``SIGNATURE_UNSUPPORTED``; they do not fit the columns.
    """
    first = inputs[0]
    if len(inputs) == 1 and first.type in _FLOATS:
        width = first.shape[-1] if len(first.shape) == 2 else None
        check_numbers(signature, [""] * (width if isinstance(width, int) else width_of(signature)))
        return partial(_as_matrix, first.name, _FLOATS[first.type])
    by_name = {node.name: node for node in inputs}
    types = {name: node.type for name, node in by_name.items()}
    if set(types) != set(signature.names):
        raise unfit(f"the model's inputs are {', '.join(types)}, and the signature's columns are others")
    for column, node in zip(signature.columns, (by_name[name] for name in signature.names), strict=True):
        _check(column, node)
    return partial(_as_columns, types)


def _check(column: Column, node: Any) -> None:
    kind, width = node.type, node.shape[-1] if len(node.shape) == 2 else None
    whole = column.type in ("long", "integer", "boolean")
    if column.is_list and isinstance(width, int) and width != column.length:
        raise unfit(f"the column {column.name} is {column.kind}, and the model's input of that name has {width}")
    fits = kind == _TEXT if column.type == "string" else kind in _FLOATS or (kind in _EXACT and whole)
    if not fits:
        raise unfit(f"the column {column.name} is {column.kind}, and the model's input of that name is {kind}")


def _as_matrix(name: str, kind: Any, events: pa.RecordBatch) -> dict[str, NDArray[Any]]:
    return {name: matrix(events).astype(kind)}


def _as_columns(types: dict[str, str], events: pa.RecordBatch) -> dict[str, NDArray[Any]]:
    return {name: _array(name, events.column(name), kind).reshape(events.num_rows, -1) for name, kind in types.items()}


def _array(name: str, column: pa.Array, kind: str) -> NDArray[Any]:
    if pa.types.is_list(column.type):
        return list_rows(column).astype(_FLOATS[kind] if kind in _FLOATS else _EXACT[kind].to_pandas_dtype())
    if kind in _FLOATS:
        floats: NDArray[Any] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return floats.astype(_FLOATS[kind])
    if column.null_count:
        raise ValueError(f"{name} is null, and the model's input has no value for that")
    typed = column if kind == _TEXT else column.cast(_EXACT[kind])
    exact: NDArray[Any] = typed.to_numpy(zero_copy_only=False)
    return exact
