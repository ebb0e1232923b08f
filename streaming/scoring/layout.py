"""A saved pipeline read as files, before anything of it is loaded: which classes it would instantiate.

Spark's loader creates whatever class a metadata file names, so the names are checked first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from streaming.errors import CandidateRefusedError

TRUSTED_PACKAGES = ("org.apache.spark.ml.", "org.apache.spark.mllib.")
"""Spark's own. Some models of ``ml`` keep one of ``mllib`` among their files, as BisectingKMeansModel does."""
PYTHON_CONTAINERS = frozenset(
    {
        "pyspark.ml.pipeline.PipelineModel",
        "pyspark.ml.tuning.CrossValidatorModel",
        "pyspark.ml.tuning.TrainValidationSplitModel",
        "pyspark.ml.classification.OneVsRestModel",
    }
)
"""How pyspark saves a container of other containers; what is inside is checked like everything else."""
REFUSED_STAGES = {
    "org.apache.spark.ml.feature.SQLTransformer": "it runs SQL of the model's choosing in this job",
}


def check_stages(pipeline_dir: Path, extra_stages: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the classes of the pipeline and of every stage, nested ones included, the outermost first.

    Raises:
        CandidateRefusedError: a class is not Spark's own and not in ``model.extra_stages``, or there is no metadata.
    """
    classes = tuple(_classes(pipeline_dir))
    if not classes:
        raise CandidateRefusedError(
            "CORRUPT_FILES", f"no stage metadata below {pipeline_dir.name}; log the model again"
        )
    for name in classes:
        if name in extra_stages or name in PYTHON_CONTAINERS:
            continue
        if name in REFUSED_STAGES:
            raise CandidateRefusedError("STAGE_NOT_ALLOWED", f"{name} is refused: {REFUSED_STAGES[name]}")
        if not name.startswith(TRUSTED_PACKAGES):
            raise CandidateRefusedError(
                "STAGE_NOT_ALLOWED",
                f"the stage {name} is not Spark's own; if you trust it, put its jar on the class path and its name"
                " into model.extra_stages",
            )
    return classes


def _classes(pipeline_dir: Path) -> Iterator[str]:
    for part in sorted(pipeline_dir.rglob("metadata/part-*"), key=lambda part: (len(part.parts), part)):
        try:
            yield str(json.loads(part.read_text("utf-8").splitlines()[0])["class"])
        except (ValueError, KeyError, IndexError) as problem:
            raise CandidateRefusedError("CORRUPT_FILES", f"unreadable {part.name}: {problem}") from problem
