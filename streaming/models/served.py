"""A version that passed every check, ready to score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from streaming.models.package import ModelPackage
from streaming.models.ref import ModelKey, ModelVersion


class Scorer(Protocol):
    """A loaded pipeline. Frames are Spark's; this package does not import Spark, so they are ``Any`` here."""

    def transform(self, frame: Any) -> Any:
        """Append the pipeline's output columns."""
        ...

    def release(self) -> None:
        """Free what the version holds in the cluster; called once after no batch uses it any more."""
        ...


class PipelineLoader(Protocol):
    """Loads a staged pipeline, proves it and warms it up: ``scoring/loader.py``."""

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Return the version, ready to serve.

        Raises:
            CandidateRefusedError: a stage is not allowed, the plan is unsafe, a golden row fails.
        """
        ...


@dataclass(frozen=True)
class ServedModel:
    """What the slot holds: one immutable reference, swapped as a whole."""

    package: ModelPackage
    scorer: Scorer

    @property
    def version(self) -> ModelVersion:
        """The registered version."""
        return self.package.version

    @property
    def key(self) -> ModelKey:
        """Its name and number."""
        return self.package.version.key
