"""Texts by their numbers among the distinct ones, for many programs that look the same texts up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_MOST_DISTINCT = 256
"""Arrow looks some hundred values up about as fast as Python does so many."""


def first_positions(texts: Iterable[str]) -> dict[str, int]:
    """Return the position of each text, in their order; of equal ones the first counts."""
    positions: dict[str, int] = {}
    for position, text in enumerate(texts):
        positions.setdefault(text, position)
    return positions


@dataclass(frozen=True)
class CodedTexts:
    """Texts by their numbers among the distinct ones, so that each of these is looked up once; a null's is -1."""

    codes: NDArray[np.int64]
    distinct: Sequence[str]

    @classmethod
    def of(cls, texts: pa.StringArray) -> CodedTexts | None:
        """Return texts coded; ``None`` if so many are distinct that to look them all up would take longer."""
        encoded = texts.dictionary_encode()
        if len(encoded.dictionary) > _MOST_DISTINCT:
            return None
        codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        return cls(codes, encoded.dictionary.to_pylist())

    def part(self, rows: slice) -> CodedTexts:
        """Return some of the texts."""
        return CodedTexts(self.codes[rows], self.distinct)

    def numbers(self, by_text: Mapping[str, int], unknown: int, null: int) -> NDArray[np.int64]:
        """Return the number of each text in ``by_text``, ``unknown`` where it is not there, and ``null`` of a null."""
        table = [by_text.get(text, unknown) for text in self.distinct]
        # A null's code counts from the end.
        return np.array([*table, null], np.int64)[self.codes]
