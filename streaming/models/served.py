"""A version that passed every check, ready to score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

from streaming.lookup_state import LookupState
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.seams import Decoder, Features, FrameScorer, Poison, RowPass

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class PipelineLoader(Protocol):
    """Loads, proves and warms up staged versions of one flavor of MLflow.

    ``scoring/loader.py`` does for ``spark``, and ``scoring/flavours/loader.py`` for the others.
    """

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Return the version, ready to serve.

        Raises:
            CandidateRefusedError: a stage is not allowed, the plan is unsafe, a golden row fails.
        """
        ...


ScorerKind = Literal["spark", "compiled", "native", "pyfunc"]
"""``native``: the library of the flavor in which the version was logged; ``pyfunc``: the version's own code."""


@dataclass(frozen=True)
class ScorerChoice:
    """What scores a version's events in the exact engine, and why, as a sentence for people."""

    kind: ScorerKind
    why: str


@dataclass(frozen=True)
class ServedModel:
    """What the slot holds: one immutable reference, swapped as a whole.

    ``decoder`` and ``scorer`` are the reference: what they say of an event is right. ``row_pass`` says the same in one
    process and several times as fast; ``None`` where the version has no such form.
    """

    package: ModelPackage
    decoder: Decoder
    scorer: FrameScorer
    row_pass: RowPass | None = None
    choice: ScorerChoice = field(default=ScorerChoice("spark", "nothing else was tried"))

    @property
    def version(self) -> ModelVersion:
        """The registered version."""
        return self.package.version

    @property
    def key(self) -> ModelKey:
        """The version's name and number."""
        return self.package.version.key

    def score(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:
        """Decode, validate and score, for the stream, batch and replay alike; see :meth:`FrameScorer.score`.

        ``at`` is the lookup table's state, where columns are looked up.
        """
        if self.row_pass is not None:
            return self.row_pass.over(records, at)
        return self.scorer.score(self.decoder(records))

    def score_decoded(self, events: DataFrame) -> DataFrame:
        """Score events that a decoder of the version has read; see :meth:`FrameScorer.score`."""
        return self.scorer.score(events) if self.row_pass is None else self.row_pass.of_decoded(events)

    def proven_by(self, features: Features) -> ServedModel:
        """Return the version with an event on which it is seen not to throw, which becomes its safe row.

        Raises:
            CandidateRefusedError: it does not keep to one row per event.
            ScoringError: it throws on the event.
        """
        return replace(self, decoder=self.decoder.masking_with(features), scorer=self.scorer.tried(features))

    def rejecting(self, poison: Poison) -> ServedModel:
        """Return the version as the reference scores it without some rows."""
        return replace(self.reference, decoder=self.decoder.rejecting(poison))

    @cached_property
    def reference(self) -> ServedModel:
        """The version with its decoder and scorer alone; the same object each time, so that its plan is kept."""
        return self if self.row_pass is None else replace(self, row_pass=None)
