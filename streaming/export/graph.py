"""An ONNX graph that grows by one node at a time, in double or in single precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
"""``ai.onnx.ml`` 5 is the first with trees in doubles and with sets of categories."""
ML = "ai.onnx.ml"
Operand: TypeAlias = "str | float | npt.NDArray[Any]"
"""A tensor by its name, or the value of a constant. Floating constants get the graph's precision."""


@dataclass
class Graph:
    """Nodes and constants in the order in which they were added; ``real`` is the type of all its real numbers."""

    real: type[np.float64] | type[np.float32]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    @property
    def real_type(self) -> int:
        """The real numbers' type as ONNX has it."""
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(self.real)))

    def add(self, operator: str, *inputs: Operand, domain: str = "", **attributes: Any) -> str:
        """Add a node and return its one output.

        Args:
            operator: the operator of ONNX.
            inputs: tensors by name, and constants.
            domain: empty for ONNX's own operators.
            attributes: as ``onnx.helper.make_node`` takes them.
        """
        names = [value if isinstance(value, str) else self._constant(np.asarray(value)) for value in inputs]
        output = self._name(operator)
        self.nodes.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def to_real(self, tensor: str) -> str:
        """Return a tensor's values as real numbers."""
        return self.add("Cast", tensor, to=self.real_type)

    def to_whole(self, tensor: str) -> str:
        """Return a tensor's values as whole numbers, cut towards zero."""
        return self.add("Cast", tensor, to=TensorProto.INT64)

    def to_column(self, tensor: str) -> str:
        """Return (n, 1) for (n)."""
        return self.add("Unsqueeze", tensor, np.array([1]))

    def element(self, rows: str, position: int) -> str:
        """Return (n): one element of each row (n, k)."""
        return self.add("Gather", rows, np.array(position), axis=1)

    def total(self, values: str, axis: int = 1) -> str:
        """Return the sum over an axis, added up from the first to the last as the compiled form does it."""
        return self.add("Gather", self.add("CumSum", values, np.array(axis)), np.array(-1), axis=axis)

    def any_of(self, masks: str) -> str:
        """Return (n): whether anything is true in each row of masks (n, k)."""
        most = self.add("ReduceMax", self.add("Cast", masks, to=TensorProto.INT64), np.array([1]), keepdims=0)
        return self.add("Cast", most, to=TensorProto.BOOL)

    def attribute(self, values: npt.ArrayLike) -> onnx.TensorProto:
        """Return values as an attribute's tensor, real numbers in the graph's precision."""
        array = np.asarray(values)
        with np.errstate(over="ignore"):
            typed = array.astype(self.real) if array.dtype.kind == "f" else array
        return numpy_helper.from_array(typed, f"/constant_{len(self.constants)}")

    def _constant(self, value: npt.NDArray[Any]) -> str:
        self.constants.append(self.attribute(value))
        return str(self.constants[-1].name)

    def _name(self, operator: str) -> str:
        # The slash tells a tensor of the graph from a column of the events.
        return f"/{operator}_{len(self.nodes)}"
