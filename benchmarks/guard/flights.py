"""Scores of recorded flights by the house's own models: a champion, and candidates that are worse in several ways.

The champion is fitted on January to May and scores June to September. Fitting and scoring take some minutes, so the
scores are kept in ``build/bench``; they are made anew where they are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streaming.models.signature import Signature
from streaming.settings import TrainSettings
from streaming.statistics.arrays import Floats, Ints
from streaming.statistics.ranking import auc
from streaming.training.dataset import LABEL, TIME, Dataset, load_dataset
from streaming.training.flights import WEATHER
from streaming.training.pipeline import build_pipeline

KEPT = Path("build/bench/guard-scores.parquet")
CHAMPION, JANUARY, NO_WEATHER, MIS_SCALED = "champion", "january model", "no weather", "mis-scaled inputs"
FITTED = {CHAMPION: "2013-06-01", JANUARY: "2013-02-01", NO_WEATHER: "2013-06-01"}
"""Each model's last day of training, which is left out."""
NOISY = {"AUC -.02 by noise": 0.02, "AUC -.05 by noise": 0.05, "AUC -.10 by noise": 0.10}
CONSTANT, INVERTED = "constant 0.5", "inverted"
GROSS = (CONSTANT, INVERTED, MIS_SCALED)
"""Candidates so bad that nobody would take them for equal."""
_SCALE = 10.0
_SEED = 17


@dataclass(frozen=True)
class FlightScores:
    """Each flight's hour since 1970, whether it was late (0 or 1), and the probability by each model's name."""

    hour: Ints
    late: Floats
    probability: Mapping[str, Floats]

    @property
    def day(self) -> Ints:
        """Each flight's day since 1970."""
        return self.hour // 24

    @property
    def candidates(self) -> list[str]:
        """All but the champion."""
        return [name for name in self.probability if name != CHAMPION]


def flight_scores() -> FlightScores:
    """Return the scores, from ``build/bench`` where they are."""
    if not (KEPT.exists() and "hour" in pq.read_schema(KEPT).names):
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_scored(), KEPT)
    table = pq.read_table(KEPT)
    hour, late = (table[name].to_numpy() for name in ("hour", "late"))
    names = [name for name in table.column_names if name not in ("hour", "late")]
    fitted = {name: table[name].to_numpy() for name in names}
    return FlightScores(hour, late, {**fitted, **_made_worse(fitted[CHAMPION], late)})


def _scored() -> pa.Table:
    """Fit the models by the house's pipeline, and score the summer's flights with each."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.memory": "3g",
    }
    builder = SparkSession.builder.master("local[2]").appName("penstock-guard")
    for name, text in settings.items():
        builder = builder.config(name, text)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        summer = load_dataset(spark, TrainSettings(from_time="2013-06-01", to_time="2013-10-01")).frame.cache()
        columns: dict[str, pa.ChunkedArray] = {}
        for name, until in FITTED.items():
            dataset = load_dataset(spark, TrainSettings(from_time="2013-01-01", to_time=until))
            model = build_pipeline(_features(dataset, name), TrainSettings()).fit(dataset.frame)
            frames = {name: summer}
            if name == CHAMPION:
                scaled = {column: F.col(column) * _SCALE for column in dataset.numeric}
                frames[MIS_SCALED] = summer.withColumns(scaled)
            for scorer, frame in frames.items():
                late = vector_to_array(F.col("probability"))[1].alias("late")
                answers = model.transform(frame).select(F.unix_micros(TIME).alias("time"), LABEL, late).toArrow()
                columns[scorer] = answers["late"]
                truth = answers
        hour = pa.array(truth["time"].to_numpy() // 3_600_000_000)
        return pa.table({"hour": hour, "late": truth[LABEL], **columns})
    finally:
        spark.stop()


def _features(dataset: Dataset, name: str) -> Dataset:
    if name != NO_WEATHER:
        return dataset
    numeric = tuple(column for column in dataset.numeric if column not in WEATHER)
    signature = Signature(tuple(column for column in dataset.signature.columns if column.name not in WEATHER))
    return replace(dataset, numeric=numeric, signature=signature)


def _made_worse(champion: Floats, late: Floats) -> dict[str, Floats]:
    noise = np.random.default_rng(_SEED).normal(size=len(champion))
    noisy = {name: noisy_copy(champion, late, fall, noise) for name, fall in NOISY.items()}
    return {**noisy, CONSTANT: np.full(len(champion), 0.5), INVERTED: 1 - champion}


def noisy_copy(score: Floats, true: Floats, fall: float, noise: Floats) -> Floats:
    """Return the scores with as much noise on their logits as lets the AUC fall by ``fall``, calibrated again.

    A model that knows less is still fitted to what happened, so its probabilities come true as the champion's do.
    """
    logit, before = np.log(score / (1 - score)), auc(score, true > 0)
    low, high = 0.0, 20.0
    for _ in range(25):
        middle = (low + high) / 2
        fallen = before - auc(logit + middle * noise, true > 0)
        low, high = (middle, high) if fallen < fall else (low, middle)
    return calibrated(logit + high * noise, true)


def calibrated(logit: Floats, true: Floats) -> Floats:
    """Return probabilities from logits, shifted and stretched so that they come true: a logistic regression on them."""
    columns, weights = np.column_stack([np.ones(len(logit)), logit]), np.zeros(2)
    for _ in range(10):
        # Newton's steps; this few are enough for two numbers.
        probability = 1 / (1 + np.exp(-np.einsum("ij,j->i", columns, weights)))
        spread = probability * (1 - probability)
        curvature = np.einsum("ij,i,ik->jk", columns, spread, columns)
        weights = weights + np.linalg.solve(curvature, np.einsum("ij,i->j", columns, true - probability))
    return np.asarray(1 / (1 + np.exp(-np.einsum("ij,j->i", columns, weights))), np.float64)
