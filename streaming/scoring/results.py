"""A pipeline's own output columns to the ones every caller knows, as selections made once per version.

Building an expression from Python takes a call into the JVM each, hundreds for one batch; the expressions themselves
hold no data and serve every batch of a version.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.rules import quoted, verdict_of
from streaming.models.profile import ReferenceProfile
from streaming.scoring.bins import bins
from streaming.scoring.stages import Outputs

Selections = tuple[list[Column], ...]
"""To be applied one after the other, each by ``DataFrame.select``."""


def as_read(features: Collection[str]) -> list[Column]:
    """Return copies of features, which the pipeline does not touch."""
    return [F.col(quoted(name)).alias(_copy(name)) for name in features]


def result_selections(
    outputs: Outputs, features: Sequence[str], overwritten: Collection[str], profile: ReferenceProfile | None
) -> Selections:
    """Return what follows the pipeline: named outputs, then confidence, then the verdict on them and the bins.

    The features come out as they were read; of ``overwritten`` ones :func:`as_read` has the copies.
    """
    names = [(name, _copy(name) if name in overwritten else name) for name in features]
    read = [F.col(quoted(source)).alias(name) for name, source in names]
    envelope = [F.col(name) for name in c.ENVELOPE if name != c.VERDICT]
    record = [*(F.col(name) for name in c.SOURCE), *envelope]
    probability = vector_to_array(F.col(outputs.probability)) if outputs.probability else _nothing("array<double>")
    label = F.col(outputs.label) if outputs.label else _nothing("string")
    prediction = F.col(outputs.prediction).cast("double")
    named = [prediction.alias(c.PREDICTION), probability.alias(c.PROBABILITY), label.alias(c.LABEL)]
    return (
        [*record, *read, F.col(c.VERDICT), *named],
        [F.col("*"), F.array_max(c.PROBABILITY).alias(c.CONFIDENCE)],
        judged(features, profile),
    )


def judged(features: Sequence[str], profile: ReferenceProfile | None) -> list[Column]:
    """Return what is selected last, from a frame with an answer's columns: all of them, the verdict and the bins."""
    envelope = [name for name in c.ENVELOPE if name != c.VERDICT]
    columns = [F.col(quoted(name)) for name in (*c.SOURCE, *envelope, *features, *c.RESULTS.names)]
    return [*columns, _verdict().alias(c.VERDICT), bins(profile).alias(c.BINS)]


def _verdict() -> Column:
    """Keep the verdict on the event, and reject a prediction that is null, NaN or infinite."""
    prediction, confidence = F.col(c.PREDICTION), F.col(c.CONFIDENCE)
    # NaN is greater than every number in Spark, so one comparison finds it and infinity both.
    invalid = prediction.isNull() | (F.abs(prediction) >= float("inf")) | F.coalesce(F.isnan(confidence), F.lit(False))
    return F.coalesce(c.VERDICT, F.when(invalid, verdict_of(Rejection(Reason.INVALID_PREDICTION.value))))


def _copy(name: str) -> str:
    return f"{c.PREFIX}as_read_{name}"


def _nothing(kind: str) -> Column:
    return F.lit(None).cast(kind)
