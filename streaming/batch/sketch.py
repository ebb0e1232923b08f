"""The scores' distribution as sketches: one of each unit, a few kilobytes, that add up to the batch's quantiles."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql import Column as Expr
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.batch.columns import positive_probability
from streaming.events import columns as c

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_K = 1024
"""A quantile's rank is off by less than 0.5 % of the rows."""


def sketch() -> Expr:
    """Return the sketch of the scored rows' scores.

    A score is the positive class's probability, or with other than two classes the confidence, or else the prediction.
    """
    score = F.coalesce(positive_probability(), F.col(c.CONFIDENCE), F.col(c.PREDICTION))
    return F.kll_sketch_agg_double(F.when(F.col(c.VERDICT).isNull(), score), _K)


def as_text(sketch: bytes | bytearray | None) -> tuple[str, ...]:
    """Return a sketch for a marker; nothing if no row was scored."""
    return (b64encode(sketch).decode(),) if sketch else ()


def quantiles(session: SparkSession, sketches: Iterable[str]) -> dict[str, float]:
    """Return the quantiles of everything the sketches saw, as ``p50`` and so on; empty if that is nothing."""
    decoded = [b64decode(text) for text in sketches]
    if not decoded:
        return {}
    frame = session.createDataFrame(pa.table({"sketch": pa.array(decoded, pa.binary())}))
    ranks = F.array(*(F.lit(rank) for rank in QUANTILES))
    merged = frame.agg(F.kll_sketch_get_quantile_double(F.kll_merge_agg_double("sketch"), ranks).alias("found"))
    row = merged.first()
    values = row["found"] if row is not None else ()
    return {f"p{round(100 * rank):02d}": float(value) for rank, value in zip(QUANTILES, values, strict=True)}
