"""The precisions in which a version can be exported; nothing here needs ONNX."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["float64", "float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FILES: dict[Precision, str] = {"float64": "model.onnx", "float32": "model.float32.onnx", "int8": "model.int8.onnx"}
"""A precision to the name of its file."""
