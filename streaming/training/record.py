"""What a training run leaves behind, and where it is recorded; ``adapters/mlflow/tracking.py`` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pyspark.ml import PipelineModel

from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature


@dataclass(frozen=True)
class Promotion:
    """How a new version is promoted: by an alias, a stage, both or neither."""

    alias: str | None = None
    stage: str | None = None


@dataclass(frozen=True)
class TrainedVersion:
    """A registered version and what is known about it. ``cut`` is where validation begins."""

    version: ModelVersion
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    digest: str
    cut: datetime


class TrainingRun(Protocol):
    """One open run at the tracking server."""

    @property
    def run_id(self) -> str:
        """The run's id at the tracking server."""
        ...

    def log(self, params: Mapping[str, object], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Record parameters, metrics and tags."""
        ...

    def save(self, model: PipelineModel, signature: Signature, target: Path) -> Path:
        """Write the model with its ``MLmodel`` file into the new directory ``target``; return the pipeline's folder."""
        ...

    def register(self, tree: Path, name: str, tags: Mapping[str, str]) -> ModelVersion:
        """Upload ``tree``, make it the next version of ``name`` with ``tags`` and wait until it is ready.

        Raises:
            RegistryUnavailableError: the server refused it or did not answer.
        """
        ...


class Tracker(Protocol):
    """A tracking server with a model registry."""

    def run(self, experiment: str, name: str) -> AbstractContextManager[TrainingRun]:
        """Open a run; an exception inside marks it as failed."""
        ...

    def download(self, version: ModelVersion, target: Path) -> Path:
        """Write the version's files into ``target`` and return the folder that holds its ``MLmodel``."""
        ...

    def promote(self, version: ModelVersion, promotion: Promotion) -> None:
        """Point the alias at the version and move it to the stage."""
        ...
