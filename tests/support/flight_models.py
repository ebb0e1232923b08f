"""Small pipelines over the same columns of text and numbers, of which each has other vocabularies, weights and bins."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from streaming.models.package import ModelPackage
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.models.signature import Column, Signature
from tests.support.saved import Stage, save_pipeline

CARRIERS = ("AA", "B6", "DL", "EV", "UA")
SIGNATURE = Signature(
    (Column("carrier", "string"), Column("distance", "integer"), Column("wind", "double", required=False))
)


def flight_package(root: Path, name: str, seed: int, *, strict: bool = False, profiled: bool = True) -> ModelPackage:
    """Write a logistic regression of its own; ``strict`` rejects carriers and winds that it does not know."""
    root.mkdir()
    draw = random.Random(seed)
    carriers = draw.sample(CARRIERS, draw.randint(2, len(CARRIERS)))
    return ModelPackage(
        version=ModelVersion(name, 1, f"run-{name}"),
        root=root,
        pipeline_dir=save_pipeline(root / "model", _stages(strict), _fitted(draw, carriers)),
        digest=f"{name}-{seed}",
        signature=SIGNATURE,
        profile=_profile(draw, carriers) if profiled else None,
    )


def _stages(strict: bool) -> list[Stage]:
    handling = "error" if strict else "keep"
    filled: Stage = ("feature.ImputerModel", {"inputCols": ["wind"], "outputCols": ["wind_filled"]})
    # With "keep" a missing wind is filled before it is assembled; the strict pipeline has no place for one.
    winds = ["wind"] if strict else ["wind_filled"]
    return [
        ("feature.StringIndexerModel", {"handleInvalid": handling, "inputCol": "carrier", "outputCol": "index"}),
        (
            "feature.OneHotEncoderModel",
            {"handleInvalid": "error", "dropLast": True, "inputCols": ["index"], "outputCols": ["onehot"]},
        ),
        *([] if strict else [filled]),
        (
            "feature.VectorAssembler",
            {"handleInvalid": "error", "inputCols": ["onehot", "distance", *winds], "outputCol": "v"},
        ),
        (
            "classification.LogisticRegressionModel",
            {"featuresCol": "v", "predictionCol": "p", "probabilityCol": "q", "rawPredictionCol": "r"},
        ),
    ]


def _fitted(draw: random.Random, carriers: list[str]) -> dict[str, dict[str, Any]]:
    # One category more than there are carriers, for those that are not known; the last one has no element.
    weights = [draw.gauss(0.0, 1.0) for _ in carriers] + [draw.gauss(0.0, 0.001), draw.gauss(0.0, 0.1)]
    matrix = {"type": 1, "numRows": 1, "numCols": len(weights), "colPtrs": None, "rowIndices": None}
    return {
        "feature.StringIndexerModel": {"labelsArray": [carriers]},
        "feature.OneHotEncoderModel": {"categorySizes": [len(carriers) + 1]},
        "feature.ImputerModel": {"wind": draw.uniform(0.0, 20.0)},
        "classification.LogisticRegressionModel": {
            "numClasses": 2,
            "numFeatures": len(weights),
            "isMultinomial": False,
            "interceptVector": {"type": 1, "size": None, "indices": None, "values": [draw.gauss(0.0, 1.0)]},
            "coefficientMatrix": {**matrix, "values": weights, "isTransposed": True},
        },
    }


def _profile(draw: random.Random, carriers: list[str]) -> ReferenceProfile:
    winds = tuple(sorted({draw.uniform(0.0, 30.0) for _ in range(draw.randint(1, 6))}))
    return ReferenceProfile(
        (
            ColumnProfile("carrier", "categorical", {}, categories=tuple(carriers[1:]), rare=tuple(carriers[:1])),
            ColumnProfile("wind", "numeric", {}, edges=winds),
            ColumnProfile("prediction", "numeric", {}, edges=(1.0,)),
            ColumnProfile("confidence", "numeric", {}, edges=(0.6, 0.8)),
        ),
        rows=1,
    )
