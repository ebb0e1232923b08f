"""Events and a model in, predictions out: one pure function on frames, for the stream, batch, replay and REST alike."""

from __future__ import annotations

from pyspark.sql import DataFrame

from streaming.scoring.pipeline import SparkPipeline


def score(records: DataFrame, pipeline: SparkPipeline) -> DataFrame:
    """Decode, validate and score.

    Args:
        records: Kafka's columns: key, value, headers, partition, offset, timestamp.
        pipeline: a loaded version.

    Returns:
        One row per record, in its partition and order: the source columns, the envelope, the features, and
        prediction, probability, confidence, label and bins; ``verdict`` is null exactly where the prediction is good.
    """
    return score_decoded(pipeline.decoder(records), pipeline)


def score_decoded(decoded: DataFrame, pipeline: SparkPipeline) -> DataFrame:
    """Score rows that the pipeline's decoder has read; see :func:`score`."""
    frame = pipeline.transform(decoded.select("*", *pipeline.as_read))
    for selection in pipeline.results:
        frame = frame.select(*selection)
    return frame
