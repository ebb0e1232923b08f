"""Metrics of a fitted model on the later time range: those of its classes by Spark, those of its ranking by ours."""

from __future__ import annotations

import numpy as np
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.statistics.ranking import Ranked, Ranking
from streaming.training.dataset import LABEL

_BINARY = {"precision": "precisionByLabel", "recall": "recallByLabel", "f1": "fMeasureByLabel"}
_LEVELS = 1_000_000
"""The most raw scores that are distinguished, so that the driver never gets more rows."""
_MULTICLASS = {"precision": "weightedPrecision", "recall": "weightedRecall", "f1": "f1"}


def evaluate(predictions: DataFrame, classes: int) -> dict[str, float]:
    """Return accuracy, precision, recall, F1 and log loss, and with two classes AUC and PR-AUC.

    With two classes precision, recall and F1 are of class 1; with more they are means weighted by class size. PR-AUC is
    the average precision. ``predictions`` has ``prediction``, ``probability``, ``rawPrediction`` and the label.
    """
    # Each metric is a pass of its own over the rows, which would otherwise be scored each time.
    rows = predictions.select("prediction", "probability", "rawPrediction", LABEL).cache()
    evaluator = MulticlassClassificationEvaluator(labelCol=LABEL, metricLabel=1.0)
    names = {"accuracy": "accuracy", "log_loss": "logLoss", **(_BINARY if classes == 2 else _MULTICLASS)}
    metrics = {
        name: evaluator.evaluate(rows, {evaluator.metricName: metric_name}) for name, metric_name in names.items()
    }
    if classes == 2:
        metrics["auc"], metrics["pr_auc"] = _ranked(rows)
    rows.unpersist()
    return metrics


def _ranked(rows: DataFrame) -> Ranked:
    """Rank by the raw score, which is the log odds or the trees' votes for class 1."""
    score = vector_to_array(F.col("rawPrediction"))[1]
    lowest, highest = rows.agg(F.min(score), F.max(score)).collect()[0]
    level = F.floor((score - lowest) / ((highest - lowest) / _LEVELS or 1.0)).alias("level")
    cells = rows.groupBy(level, (F.col(LABEL) == 1).alias("true")).agg(F.count("*").alias("rows")).toPandas()
    levels, events = (cells[name].to_numpy(np.float64) for name in ("level", "rows"))
    return Ranking(levels, cells["true"].to_numpy(np.bool_))(events)
