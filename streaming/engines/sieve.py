"""Finding the rows on which a pipeline throws by one Spark job in which nothing throws.

Spark fails a whole task for one row, tries it again, logs a stack trace each time, and does not say which row it was.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from streaming.events import columns as c
from streaming.spark.session_settings import settings_meanwhile
from streaming.spark.tried import SETTINGS, tried

_THREW = c.PREFIX + "threw"


def throwing_rows(decoded: DataFrame, score: Callable[[DataFrame], DataFrame], most: int) -> list[tuple[int, int]]:
    """Return partition and offset of up to ``most`` rows on which ``score`` throws an exception.

    Args:
        decoded: Rows as a decoder gives them.
        score: Puts projections over a frame, and nothing else.
        most: After so many the search ends.

    Raises:
        PySparkException: Something throws outside of the JVM's expressions, or what it throws is no exception.
    """
    flagged = tried(decoded, score(decoded), _THREW)
    with settings_meanwhile(decoded.sparkSession, SETTINGS):
        rows = flagged.where(_THREW).select(c.PARTITION, c.OFFSET).limit(most).collect()
    return sorted((row[c.PARTITION], row[c.OFFSET]) for row in rows)
