"""The tensors of the Open Inference Protocol (v2) as events, and predictions as tensors: a column is a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.dead_letter import Rejection
from streaming.models.signature import Column, Signature
from streaming.scoring.compiled.row_program import ModelAnswer
from streaming.serving.cell_events import column_events
from streaming.serving.problems import ProblemError, sentence

_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_REAL = frozenset({"FP16", "FP32", "FP64"})
DATATYPES: dict[str, str] = {
    "double": "FP64",
    "float": "FP32",
    "long": "INT64",
    "integer": "INT32",
    "boolean": "BOOL",
    "string": "BYTES",
}
"""A column's type to the protocol's name of it."""
_TAKEN: dict[str, frozenset[str]] = {
    "double": _REAL | _WHOLE,
    "float": _REAL | _WHOLE,
    "long": _WHOLE,
    "integer": _WHOLE,
    "boolean": frozenset({"BOOL"}),
    "string": frozenset({"BYTES"}),
}


class Tensor(msgspec.Struct):
    """One input: a column of n values, of shape ``[n]`` or ``[n, 1]``."""

    name: str
    shape: list[int]
    datatype: str
    data: list[msgspec.Raw]


class RequestedOutput(msgspec.Struct):
    """One output that the caller wants."""

    name: str


class InferenceRequest(msgspec.Struct):
    """The body of ``infer``; parameters are read by nobody."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None


_DECODER = msgspec.json.Decoder(InferenceRequest)


def inference_request(body: bytes) -> InferenceRequest:
    """Return a body's request; raises ``ProblemError``, 400, if it is none."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise unfit(f"the body is no inference request: {problem}") from None


def tensor_events(request: InferenceRequest, signature: Signature) -> list[bytes]:
    """Return the events of a request's tensors.

    Raises:
        ProblemError: 400; a tensor is no column of the model's, of another type, or not of the others' length.
    """
    by_name = {column.name: column for column in signature.columns}
    columns: dict[str, list[bytes]] = {}
    for tensor in request.inputs:
        column = by_name.get(tensor.name)
        if column is None or tensor.name in columns:
            raise unfit(f"the input {tensor.name!r} is no column of the model's, or there twice: {', '.join(by_name)}")
        columns[tensor.name] = _values(tensor, column)
    if len({len(values) for values in columns.values()}) != 1:
        raise unfit("the inputs have different lengths, or there is none; send a tensor of [n] for each column")
    return column_events(columns)


def _values(tensor: Tensor, column: Column) -> list[bytes]:
    if tensor.datatype not in _TAKEN[column.type]:
        taken = ", ".join(sorted(_TAKEN[column.type]))
        raise unfit(f"the input {tensor.name} is {tensor.datatype}, and the model reads {taken}")
    values = list(map(bytes, tensor.data))
    if column.length is not None:
        return _list_values(tensor, values, column.length)
    if len(tensor.shape) == 2 and values and values[0].startswith(b"["):
        values = [_single(tensor.name, value) for value in values]
    if tensor.shape not in ([len(values)], [len(values), 1]):
        raise unfit(
            f"the input {tensor.name} has {len(values)} values and the shape {tensor.shape}; send [n] or [n, 1]"
        )
    return values


def _list_values(tensor: Tensor, values: list[bytes], length: int) -> list[bytes]:
    """Return a list for each row of a tensor of [n, length], which comes as rows or as one run of numbers."""
    if values and not values[0].startswith(b"[") and len(values) % length == 0:
        values = [b"[%b]" % b",".join(values[at : at + length]) for at in range(0, len(values), length)]
    if tensor.shape != [len(values), length]:
        raise unfit(f"the input {tensor.name} has {len(values)} rows and the shape {tensor.shape}; send [n, {length}]")
    return values


def _single(name: str, row: bytes) -> bytes:
    try:
        (value,) = msgspec.json.decode(row, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise unfit(f"a row of the input {name} is no list of one value") from None
    return bytes(value)


def output_tensors(answers: Sequence[ModelAnswer | Rejection], names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return predictions as tensors, and labels and probabilities where the model gives them.

    Args:
        answers: of n events.
        names: the outputs that are asked for; ``None`` for all.

    Raises:
        ProblemError: 400; an event is rejected, or there is no output of a name.
    """
    scored: list[ModelAnswer] = []
    for row, answer in enumerate(answers):
        if isinstance(answer, Rejection):
            raise unfit(f"row {row}: {sentence(answer)} ({answer.reason})")
        scored.append(answer)
    tensors = {"prediction": _tensor("prediction", "FP64", [answer.prediction for answer in scored])}
    labels = [answer.label for answer in scored]
    if None not in labels:
        tensors["label"] = _tensor("label", "BYTES", labels)
    probabilities = [answer.probability for answer in scored]
    if None not in probabilities:
        tensors["probability"] = _matrix("probability", [row for row in probabilities if row is not None])
    unknown = [name for name in names or () if name not in tensors]
    if unknown:
        raise unfit(f"there is no output {', '.join(unknown)}; the model gives {', '.join(tensors)}")
    return [tensor for name, tensor in tensors.items() if names is None or name in names]


def _tensor(name: str, datatype: str, data: Sequence[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def _matrix(name: str, rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    flat = [number for row in rows for number in row]
    return {"name": name, "datatype": "FP64", "shape": [len(rows), len(rows[0])], "data": flat}


def unfit(detail: str) -> ProblemError:
    """Return the problem of a request that the model does not take, with the member of the protocol's own errors."""
    return ProblemError(400, "bad-request", detail, error=detail)
