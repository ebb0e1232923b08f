"""What the stages before have left in each column, while a program is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, cast

import numpy as np
import pyarrow as pa

from streaming.errors import ScoringError, StageNotCompiledError
from streaming.scoring.compiled.coded_texts import CodedTexts
from streaming.scoring.compiled.saved import SavedStage
from streaming.scoring.compiled.values import (
    Floats,
    Kind,
    Mask,
    Numbers,
    OneHot,
    Parts,
    Rows,
    SparseRows,
    Summands,
    Tokens,
    Value,
    sliced,
)


class Columns:
    """The columns of one batch by name; Spark does not tell cases apart.

    A scope has made sure of each column's kind when the program was put together, so a getter only finds it.
    """

    def __init__(self, values: Mapping[str, Value], rows: int, codes: Mapping[str, CodedTexts] | None = None) -> None:
        self._values = {name.lower(): value for name, value in values.items()}
        self._codes = dict(codes or {})
        self.rows = rows

    def coded(self) -> Columns:
        """Return the same columns, the texts of which many programs can look up."""
        texts = {name: value for name, value in self._values.items() if isinstance(value, pa.StringArray)}
        codes = {name: CodedTexts.of(text) for name, text in texts.items()}
        return Columns(self._values, self.rows, {name: coded for name, coded in codes.items() if coded is not None})

    def part(self, rows: slice) -> Columns:
        """Return some rows of columns that no stage has added to."""
        values = {name: sliced(value, rows) for name, value in self._values.items()}
        codes = {name: coded.part(rows) for name, coded in self._codes.items()}
        return Columns(values, rows.stop - rows.start, codes)

    def codes(self, name: str) -> CodedTexts | None:
        """Return a column of text as :meth:`coded` has left it; ``None`` where the texts themselves are looked up."""
        return self._codes.get(name.lower())

    def number(self, name: str) -> Numbers:
        """Return a column of numbers."""
        return cast(Numbers, self._values[name.lower()])

    def text(self, name: str) -> pa.StringArray:
        """Return a column of text."""
        return self._values[name.lower()]

    def vector(self, name: str) -> Floats:
        """Return a column of vectors as a matrix, a row for each event."""
        rows = self.rows_of(name)
        return rows.dense() if isinstance(rows, SparseRows) else rows

    def rows_of(self, name: str) -> Rows:
        """Return a column of vectors, a row for each event, as a matrix unless most of its elements are zero."""
        rows = self._values[name.lower()]
        return rows.dense() if isinstance(rows, OneHot | Parts) else cast(Rows, rows)

    def summands(self, name: str) -> Summands:
        """Return a column of vectors for a stage that only adds up products of its elements."""
        rows = self._values[name.lower()]
        return rows.dense() if isinstance(rows, OneHot) else cast(Summands, rows)

    def parts(self, name: str) -> tuple[OneHot | Floats, ...]:
        """Return the vectors of which each vector of a column is put together."""
        rows = self._values[name.lower()]
        if isinstance(rows, Parts):
            return rows.parts
        return (rows,) if isinstance(rows, OneHot) else (self.vector(name),)

    def tokens(self, name: str) -> Tokens:
        """Return a column of lists of words."""
        return cast(Tokens, self._values[name.lower()])

    def put(self, name: str, value: Value) -> None:
        """Set a column, in the place of one that has this name."""
        self._values[name.lower()] = value
        self._codes.pop(name.lower(), None)

    def put_numbers(self, name: str, values: Floats) -> None:
        """Set a column of numbers of which none is null."""
        self.put(name, Numbers(values, np.zeros(self.rows, np.bool_)))


Apply = Callable[[Columns], None]


@dataclass(frozen=True)
class Scope:
    """The columns that exist before ``stage``, and what can be said of it where it does not fit them."""

    stage: SavedStage
    kinds: dict[str, Kind] = field(repr=False)

    def number(self, name: str) -> Kind:
        """Return what is known of a column of numbers.

        Raises:
            StageNotCompiledError: there is no such column, or it holds something else.
        """
        return self._of(name, "number")

    def vector(self, name: str, size: int | None = None) -> Kind:
        """Return what is known of a column of vectors, which have ``size`` elements if the stage expects that."""
        kind = self.rows(name, size)
        if kind.sparse:
            raise self.refused(f"it needs all {kind.size} elements of {name} at once, and most of them are zero")
        return kind

    def rows(self, name: str, size: int | None = None) -> Kind:
        """Do the same for a stage that takes vectors of which most elements are zero as they are."""
        kind = self._of(name, "vector")
        if size is not None and kind.size != size:
            raise self.stage.unreadable(f"it expects {size} elements in {name}, which has {kind.size}")
        return kind

    def text(self, name: str) -> Kind:
        """Return what is known of a column of text."""
        return self._of(name, "text")

    def tokens(self, name: str) -> Kind:
        """Return what is known of a column of lists of words."""
        return self._of(name, "tokens")

    def any(self, name: str) -> Kind:
        """Return what is known of a column."""
        kind = self.kinds.get(name.lower())
        if kind is None:
            raise self.refused(f"it reads the column {name}, which neither the events nor the stages before have")
        return kind

    def put(self, name: str, kind: Kind) -> None:
        """Set what is known of a column that the stage writes."""
        self.kinds[name.lower()] = kind

    def put_number(self, name: str, *, nominal: bool = False, labels: tuple[str, ...] = ()) -> None:
        """Say that the stage writes doubles into a column."""
        self.put(name, Kind("number", pa.float64(), nominal=nominal, labels=labels))

    def refused(self, detail: str) -> StageNotCompiledError:
        """Return the error that says why this stage has no compiled form."""
        return StageNotCompiledError(self.stage.uid, self.stage.kind, detail)

    def handling(self, *rules: str) -> str:
        """Return ``handleInvalid``, which must be one of ``rules``."""
        rule = self.stage.text("handleInvalid")
        if rule == "skip":
            raise self.refused("with handleInvalid=skip it drops rows, and each event has an answer")
        if rule not in rules:
            raise self.stage.unreadable(f"handleInvalid is {rule!r}")
        return rule

    def pairs(self) -> list[tuple[str, str]]:
        """Return input and output columns, one of each at a time."""
        sources, targets = self.stage.columns("input"), self.stage.columns("output")
        if len(sources) != len(targets):
            raise self.stage.unreadable(f"it has {len(sources)} input and {len(targets)} output columns")
        return list(zip(sources, targets, strict=True))

    def _of(self, name: str, family: str) -> Kind:
        kind = self.any(name)
        if kind.family != family:
            raise self.refused(f"it reads a {family} from the column {name}, which holds a {kind.family}")
        return kind


def reject(stage: SavedStage, column: str, wrong: Mask, why: str) -> None:
    """Fail as Spark does on rows that a stage throws on.

    Raises:
        ScoringError: some row is wrong; it says which is the first.
    """
    if wrong.any():
        _fail(stage, column, int(np.argmax(wrong)), why)


def _fail(stage: SavedStage, column: str, row: int, why: str) -> NoReturn:
    raise ScoringError(f"the stage {stage.uid} cannot take row {row} of the batch: {column} {why}")
