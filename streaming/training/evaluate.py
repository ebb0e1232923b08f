"""Metrics of a fitted model on the later time range, by Spark's evaluators."""

from __future__ import annotations

from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
from pyspark.sql import DataFrame

from streaming.training.dataset import LABEL

_BINARY = {"precision": "precisionByLabel", "recall": "recallByLabel", "f1": "fMeasureByLabel"}
_MULTICLASS = {"precision": "weightedPrecision", "recall": "weightedRecall", "f1": "f1"}


def evaluate(predictions: DataFrame, classes: int) -> dict[str, float]:
    """Return accuracy, precision, recall, F1 and log loss, and with two classes AUC and PR-AUC.

    With two classes precision, recall and F1 are of class 1; with more they are means weighted by class size.
    ``predictions`` has ``prediction``, ``probability``, ``rawPrediction`` and the label.
    """
    rows = predictions.select("prediction", "probability", "rawPrediction", LABEL).cache()
    evaluator = MulticlassClassificationEvaluator(labelCol=LABEL, metricLabel=1.0)
    names = {"accuracy": "accuracy", "log_loss": "logLoss", **(_BINARY if classes == 2 else _MULTICLASS)}
    metrics = {
        name: evaluator.evaluate(rows, {evaluator.metricName: metric_name}) for name, metric_name in names.items()
    }
    if classes == 2:
        ranking = BinaryClassificationEvaluator(labelCol=LABEL)
        metrics["auc"] = ranking.setMetricName("areaUnderROC").evaluate(rows)
        metrics["pr_auc"] = ranking.setMetricName("areaUnderPR").evaluate(rows)
    rows.unpersist()
    return metrics
