"""What a stage finds when it is drawn into a graph: its files, and the columns before it as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import cast

import numpy as np

from streaming.errors import ExportRefusedError
from streaming.export.graph import Graph
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.scope import Scope


@dataclass(frozen=True)
class NumberTensor:
    """A column of n numbers: a tensor of real numbers, and where they are null; empty where none is."""

    values: str
    nulls: str = ""


@dataclass(frozen=True)
class StageContext:
    """A stage, what is known of the columns before it, and the graph that it is drawn into.

    The stage was compiled before, so each column is there and of the kind that the stage reads. ``tensors`` has a
    column's tensor by its name in lower case, and ``rejections`` the rows that stages throw on.
    """

    scope: Scope
    graph: Graph
    tensors: dict[str, NumberTensor | str]
    rejections: list[str]

    @property
    def stage(self) -> SavedStage:
        """The stage's files."""
        return self.scope.stage

    def number(self, name: str) -> NumberTensor:
        """Return a column of numbers."""
        return cast(NumberTensor, self.tensors[name.lower()])

    def tensor(self, name: str) -> str:
        """Return a column of text (n), or of vectors (n, k)."""
        return cast(str, self.tensors[name.lower()])

    def put(self, name: str, tensor: NumberTensor | str) -> None:
        """Set a column, in the place of one that has this name; nothing happens without a name."""
        if name:
            self.tensors[name.lower()] = tensor

    def put_numbers(self, name: str, values: str) -> None:
        """Set a column of numbers of which none is null."""
        self.put(name, NumberTensor(values))

    def put_choice(self, name: str, positions: str) -> None:
        """Set a column of whole numbers."""
        self.put_numbers(name, self.graph.to_real(positions))

    def not_null(self, name: str) -> str:
        """Return the values of a column of numbers; the stage throws on a null."""
        number = self.number(name)
        if number.nulls:
            self.reject(number.nulls)
        return number.values

    def with_nan(self, name: str) -> str:
        """Return the values of a column of numbers, with NaN for null."""
        number = self.number(name)
        return self.graph.add("Where", number.nulls, np.nan, number.values) if number.nulls else number.values

    def reject(self, rows: str) -> None:
        """Say on which rows (a mask) the stage throws."""
        self.rejections.append(rows)

    def refused(self, detail: str) -> ExportRefusedError:
        """Return the error that says why this stage has no ONNX form."""
        return ExportRefusedError(f"the stage {self.stage.uid} ({self.stage.kind}) has no ONNX form: {detail}")


def any_row(graph: Graph, masks: list[str]) -> str:
    """Return the mask of the rows that are in any of the masks."""
    return reduce(lambda a, b: graph.add("Or", a, b), masks)
