"""Records' values as the tiers look at them: each as bytes, and all as one run of bytes in which numpy counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.formats.json.strict import MAX_DIGITS

_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_DIGITS = bytes(ord("0") if sign in b"0123456789." else ord(" ") for sign in range(256))
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)
_STRIDE = 25
_SAMPLES = MAX_DIGITS // _STRIDE
_IS_OF_NUMBER = np.isin(np.arange(256), np.frombuffer(b"0123456789.", np.uint8))


def has_long_number(text: bytes) -> bool:
    """Return whether there are more than 1,000 digits in a row, a point among them or not."""
    return len(text) > MAX_DIGITS and _TOO_MANY_DIGITS in text.translate(_DIGITS)


@dataclass(frozen=True)
class Documents:
    """Some of a batch's values, none of them null or empty."""

    values: pa.BinaryArray
    rows: NDArray[np.int64]
    """The place of each in the batch."""

    @cached_property
    def texts(self) -> list[bytes]:
        """Each value by itself."""
        texts: list[bytes] = self.values.to_pylist()
        return texts

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """The positions in ``data`` at which values begin, and the end of the last one."""
        offsets = np.frombuffer(self.values.buffers()[1], np.int32)
        own = offsets[self.values.offset : self.values.offset + len(self.values) + 1].astype(np.int64)
        bounds: NDArray[np.int64] = own - own[0]
        return bounds

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """All values, one after the other."""
        start = np.frombuffer(self.values.buffers()[1], np.int32)[self.values.offset]
        return np.frombuffer(self.values.buffers()[2], np.uint8)[start : start + self.bounds[-1]]

    def select(self, mask: NDArray[np.bool_]) -> Documents:
        """Return those for which ``mask`` is true."""
        if mask.all():
            return self
        return Documents(self.values.filter(pa.array(mask)), self.rows[mask])

    def pieces(self, size: int) -> Iterator[Documents]:
        """Yield runs of them of at most ``size`` bytes, or of a single one that is longer."""
        first = 0
        while first < len(self.rows):
            after = int(np.searchsorted(self.bounds, self.bounds[first] + size, side="right")) - 1
            after = max(after, first + 1)
            yield Documents(self.values.slice(first, after - first), self.rows[first:after])
            first = after

    def quotes(self) -> NDArray[np.int32]:
        """Count the quotes in each."""
        return np.add.reduceat(self.data == _QUOTE, self.bounds[:-1], dtype=np.int32)

    def may_escape_quotes(self) -> NDArray[np.bool_]:
        """Return whether a backslash precedes a quote, for each; not that it escapes it."""
        escapes = np.zeros(len(self.rows), np.bool_)
        backslashes = self.data == _BACKSLASH
        if backslashes.any():
            positions = np.flatnonzero(backslashes[:-1] & (self.data[1:] == _QUOTE))
            escapes[self._rows_at(positions)] = True
        return escapes

    def may_have_long_numbers(self) -> NDArray[np.bool_]:
        """Return whether there may be more than 1,000 digits in a row, a point among them or not, for each.

        A run of 1,001 characters covers at least forty of the positions that are multiples of 25. Only where forty in a
        row are digits or points, as they may be by chance in lists of numbers, is the text itself looked at.
        """
        long = np.zeros(len(self.rows), np.bool_)
        if np.diff(self.bounds).max() <= MAX_DIGITS:
            return long
        sampled = np.cumsum(np.append(0, _IS_OF_NUMBER[self.data[::_STRIDE]]))
        starts = np.flatnonzero(sampled[_SAMPLES:] - sampled[:-_SAMPLES] == _SAMPLES)
        positions = (starts[:, None] + np.arange(_SAMPLES)) * _STRIDE
        for row in np.unique(self._rows_at(positions.ravel())):
            long[row] = has_long_number(self.texts[row])
        return long

    def _rows_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self.bounds, positions, side="right") - 1
