"""A saved pipeline read as files, before anything of it is loaded: which classes it would instantiate.

Spark's loader creates whatever class a metadata file names, so the names are checked first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode

TRUSTED_PACKAGES = ("org.apache.spark.ml.", "org.apache.spark.mllib.")
"""Spark's own. Some models of ``ml`` keep one of ``mllib`` among their files, as BisectingKMeansModel does."""
_JVM_PIPELINE = "org.apache.spark.ml.PipelineModel"
_PIPELINE = "pyspark.ml.pipeline.PipelineModel"
PYTHON_CONTAINERS = frozenset(
    {
        _PIPELINE,
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
        CandidateRefusedError: a class is not Spark's own and not in ``model.extra_stages``, or it is a Python class, or
            there is no metadata.
    """
    classes = tuple(_classes(pipeline_dir))
    if not classes:
        raise CandidateRefusedError(
            RefusalCode.CORRUPT_FILES, f"no stage metadata below {pipeline_dir.name}; log the model again"
        )
    strangers = [name for name in classes if not name.startswith(TRUSTED_PACKAGES) and name not in PYTHON_CONTAINERS]
    python = _python_stage(classes, strangers, extra_stages)
    if python is not None:
        raise python_stage_refused(python)
    for name in classes:
        if name in REFUSED_STAGES and name not in extra_stages:
            raise CandidateRefusedError(RefusalCode.STAGE_NOT_ALLOWED, f"{name} is refused: {REFUSED_STAGES[name]}")
        if name in strangers and name not in extra_stages:
            raise CandidateRefusedError(
                RefusalCode.STAGE_NOT_ALLOWED,
                f"the stage {name} is not Spark's own; if you trust it, put its jar on the class path and its name"
                " into model.extra_stages (a Python class has no jar and cannot be served)",
            )
    return classes


def python_stage_refused(name: str) -> CandidateRefusedError:
    """Return the refusal of a pipeline with a stage of one's own in Python."""
    return CandidateRefusedError(
        RefusalCode.STAGE_NOT_ALLOWED,
        f"the stage {name} is a Python class, and Python stages cannot be served, in model.extra_stages or not: a"
        " pipeline runs in Spark's JVM. Use Spark's own stages in its place, or compute its column before the event is"
        " sent",
    )


def _python_stage(classes: tuple[str, ...], strangers: list[str], listed: tuple[str, ...]) -> str | None:
    """Return the stage that is certainly a Python class, if there is one.

    pyspark saves a pipeline itself, and not by way of the JVM, only where a stage cannot be saved there. That is a
    Python class, unless it is a container of stages.
    """
    scripted = [name for name in strangers if name.startswith("__main__.")]
    containers = [name for name in classes if name in PYTHON_CONTAINERS or name == _JVM_PIPELINE]
    if scripted or containers != [_PIPELINE]:
        return next(iter(scripted), None)
    unlisted = [name for name in strangers if name not in listed]
    # If all of them are listed and there are several, only loading them shows which one is at fault.
    return unlisted[0] if unlisted else strangers[0] if len(set(strangers)) == 1 else None


def _classes(pipeline_dir: Path) -> Iterator[str]:
    for part in sorted(pipeline_dir.rglob("metadata/part-*"), key=lambda part: (len(part.parts), part)):
        try:
            yield str(json.loads(part.read_text("utf-8").splitlines()[0])["class"])
        except (ValueError, KeyError, IndexError) as problem:
            raise CandidateRefusedError(RefusalCode.CORRUPT_FILES, f"unreadable {part.name}: {problem}") from problem
