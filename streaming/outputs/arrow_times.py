"""Times as :data:`streaming.outputs.envelope.TIME_FORMAT` writes them, on Arrow batches."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST, _AFTER = -62_135_596_800_000, 253_402_300_800_000
"""The first millisecond of year 1 and of year 10000."""
_FIRST_MOMENT = datetime.min  # noqa: DTZ901 - UTC, which the text names
FEW = 8
"""Moments that are written one by one."""
_CYCLE_YEARS, _CYCLE_MS = 400, 146_097 * 86_400_000
"""The calendar repeats itself after so many years, which have so many milliseconds."""


def milliseconds(moments: pa.TimestampArray) -> pa.Int64Array:
    """Return whole milliseconds since 1970, rounded down as Spark's ``unix_millis`` does."""
    micros = moments.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    mask = micros.is_null().to_numpy(zero_copy_only=False)
    return pa.array(micros.fill_null(0).to_numpy(zero_copy_only=False) // 1_000, pa.int64(), mask=mask)


def in_four_digits(moments: pa.TimestampArray) -> pa.BooleanArray:
    """Return which moments are in the years 1 to 9999; null where there is none."""
    return _usual(milliseconds(moments))


def written_times(moments: pa.TimestampArray) -> pa.StringArray:
    """Return RFC 3339 in UTC with milliseconds, the rest cut off.

    Only a record's own timestamp can be in another year than 1 to 9999. It is written as Spark writes it: with a sign
    from 10000 on and below 0.
    """
    millis = milliseconds(moments)
    # A server's single event, or a few, are written faster one by one than by the arithmetic of a batch.
    if len(millis) <= FEW:
        return pa.array(
            [None if number is None else written_time(number) for number in millis.to_pylist()], pa.string()
        )
    usual = _usual(millis)
    texts = pc.if_else(usual, millis, pa.scalar(None, pa.int64())).cast(pa.timestamp("ms")).cast(pa.string())
    texts = pc.binary_join_element_wise(pc.replace_substring(texts, " ", "T"), "Z", "")
    if pc.all(usual).as_py() in (True, None):
        return texts
    pairs = zip(millis.to_pylist(), texts.to_pylist(), strict=True)
    return pa.array([written_time(number) if number is not None and text is None else text for number, text in pairs])


def _usual(millis: pa.Int64Array) -> pa.BooleanArray:
    return pc.and_(pc.greater_equal(millis, _FIRST), pc.less(millis, _AFTER))


def written_time(millis: int) -> str:
    """Return one moment, of any year, as :func:`written_times` does; ``millis`` are since 1970."""
    if _FIRST <= millis < _AFTER:
        return (_FIRST_MOMENT + timedelta(milliseconds=millis - _FIRST)).isoformat(timespec="milliseconds") + "Z"
    cycles, within_cycle = divmod(millis - _FIRST, _CYCLE_MS)
    text = np.datetime_as_string(np.datetime64(within_cycle + _FIRST, "ms"))
    year = int(text[:4]) + cycles * _CYCLE_YEARS
    sign = "+" if year > 9_999 else "-" if year < 0 else ""
    return f"{sign}{abs(year):04}{text[4:]}Z"
