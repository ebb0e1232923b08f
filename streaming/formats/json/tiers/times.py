"""Times in RFC 3339 by the batch: the usual forms by arithmetic, the others one by one as the reference reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.formats.json.tiers.cells import Cells
from streaming.formats.json.values import FieldError, iso_time

MOMENT = pa.timestamp("us", tz="UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_PARTS = (("year", 0, 4), ("month", 5, 7), ("day", 8, 10), ("hour", 11, 13), ("minute", 14, 16), ("second", 17, 19))
_DAY = 86_400_000_000
"""Microseconds."""
FEW = 8
"""Values that are read one by one."""


def iso_times(values: Sequence[str]) -> Cells:
    """Read the moments, in microseconds in UTC; a value that names none is doubtful."""
    # A server's single event, or a few, are read faster one by one, as the reference does, than by the arithmetic.
    few = len(values) <= FEW
    micros, unread = (np.zeros(len(values), np.int64), np.ones(len(values), np.bool_)) if few else _usual(values)
    doubtful = np.zeros(len(values), np.bool_)
    for row in np.flatnonzero(unread):
        try:
            micros[row] = microseconds(iso_time(values[row]))
        except FieldError:
            doubtful[row] = True
    return Cells(pa.array(micros).cast(MOMENT), doubtful if doubtful.any() else None)


def epoch_times(values: Sequence[int]) -> Cells:
    """Read milliseconds since 1970."""
    return Cells(pa.array(np.array(values, np.int64) * 1_000).cast(MOMENT))


def _usual(values: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read the usual forms; return with the moments which values have none of them."""
    texts = pa.array(values, pa.string())
    starts = np.frombuffer(texts.buffers()[1], np.int32)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    lengths = np.diff(starts)
    micros = np.zeros(len(values), np.int64)
    unread = np.ones(len(values), np.bool_)
    for length in set(np.unique(lengths)) & {*_LAYOUTS}:
        layout = _LAYOUTS[length]
        rows = np.flatnonzero(lengths == length)
        characters = data[starts[rows][:, None] + np.arange(length)]
        rows, characters = rows[fits := layout.fits(characters)], characters[fits]
        moments, exist = layout.moments(characters)
        micros[rows] = moments
        unread[rows] = ~exist
    return micros, unread


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970 to a moment in UTC, which has no zone."""
    apart = moment.replace(tzinfo=timezone.utc) - _EPOCH
    return apart.days * _DAY + apart.seconds * 1_000_000 + apart.microseconds


@dataclass(frozen=True)
class Layout:
    """Date and time with a T between them, so many digits of a second's fraction, and Z."""

    digits: int

    @cached_property
    def template(self) -> bytes:
        """An example, with zeros for digits."""
        return b"0000-00-00T00:00:00" + (b"." + b"0" * self.digits if self.digits else b"") + b"Z"

    @cached_property
    def _is_digit(self) -> NDArray[np.bool_]:
        is_digit: NDArray[np.bool_] = np.frombuffer(self.template, np.uint8) == ord("0")
        return is_digit

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """What a digit in each place adds to year, month, day, hour, minute, second and microsecond."""
        weights = np.zeros((len(self.template), len(_PARTS) + 1))
        for column, (_, start, end) in enumerate(_PARTS):
            weights[start:end, column] = 10.0 ** np.arange(end - start - 1, -1, -1)
        # Digits finer than a microsecond are cut off.
        finest = min(self.digits, 6)
        weights[20 : 20 + finest, -1] = 10.0 ** np.arange(5, 5 - finest, -1)
        return weights[self._is_digit]

    def fits(self, characters: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which texts have digits and signs where the template has them; one row of characters for each."""
        digits = characters[:, self._is_digit] - np.uint8(ord("0"))
        signs = np.frombuffer(self.template, np.uint8)[~self._is_digit]
        fits: NDArray[np.bool_] = (digits <= 9).all(axis=1) & (characters[:, ~self._is_digit] == signs).all(axis=1)
        return fits

    def moments(self, characters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return microseconds since 1970 for texts that fit, and which of these days and times exist."""
        digits = (characters[:, self._is_digit] - np.uint8(ord("0"))).astype(np.float64)
        # At most 9999 times 1: exact in doubles.
        year, month, day, hour, minute, second, fraction = (digits @ self._weights).astype(np.int64).T
        months = (year - 1970) * 12 + month - 1
        first, after = (_first_day(months), _first_day(months + 1))
        exist = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= after - first)
        exist &= (hour <= 23) & (minute <= 59) & (second <= 59)
        seconds = (hour * 60 + minute) * 60 + second
        return (first + day - 1) * _DAY + seconds * 1_000_000 + fraction, exist


def _first_day(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the days from 1970 to the first day of each month, by the proleptic Gregorian calendar."""
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


_LAYOUTS = {len(layout.template): layout for layout in map(Layout, range(10))}
"""By length; a value of any other form is read by itself."""
