"""A version that passed every check, ready to score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from streaming.models.package import ModelPackage
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.seams import Decoder, Features, FrameScorer, Poison

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class PipelineLoader(Protocol):
    """Loads, proves and warms up staged versions of one flavor of MLflow; ``scoring/loader.py`` does for ``spark``."""

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
    decoder: Decoder
    scorer: FrameScorer

    @property
    def version(self) -> ModelVersion:
        """The registered version."""
        return self.package.version

    @property
    def key(self) -> ModelKey:
        """Its name and number."""
        return self.package.version.key

    def score(self, records: DataFrame) -> DataFrame:
        """Decode, validate and score, for the stream, batch and replay alike; see :meth:`FrameScorer.score`."""
        return self.scorer.score(self.decoder(records))

    def proven_by(self, features: Features) -> ServedModel:
        """Return the version with an event on which it is seen not to throw, which becomes its safe row.

        Raises:
            CandidateRefusedError: it does not keep to one row per event.
            ScoringError: it throws on the event.
        """
        return replace(self, decoder=self.decoder.masking_with(features), scorer=self.scorer.tried(features))

    def rejecting(self, poison: Poison) -> ServedModel:
        """Return the version as it scores without some rows."""
        return replace(self, decoder=self.decoder.rejecting(poison))
