"""A model version's files on this machine, read and described but not yet loaded into Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streaming.models.golden import GoldenRows
from streaming.models.profile import ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature

SPARK_FLAVOR = "spark"
"""MLflow's name of the flavor in which a pipeline of Spark ML is logged."""


CODE_FLAVOR = "python_function"
"""MLflow's name of the flavor that every model has, which runs whatever code the version names."""


ALLOW_CODE = "Or set model.allow_code to true, which runs the version's own code in a process that may die"
"""What else can be done about a version that is refused for its code."""


@dataclass(frozen=True)
class ModelPackage:
    """What a version consists of. ``root`` holds the MLmodel file, ``pipeline_dir`` what its loader reads."""

    version: ModelVersion
    root: Path
    pipeline_dir: Path
    """Of the flavor ``spark`` the saved PipelineModel below ``root``; of others ``root`` itself."""
    digest: str
    """SHA-256 over the tree's paths and bytes, as hex."""
    signature: Signature
    golden: GoldenRows | None = None
    profile: ReferenceProfile | None = None
    pyspark_version: str | None = None
    examples: tuple[dict[str, Any], ...] = ()
    """The rows of MLflow's input example."""
    flavor: str = SPARK_FLAVOR
    """The flavor of MLflow by which the version is loaded."""
    section: Mapping[str, object] = field(default_factory=dict)
    """What MLmodel says of that flavor; nothing in it has been checked."""
