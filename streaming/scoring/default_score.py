"""The default score as a version: one constant answer to every event, for when no model can give one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.seams import Features
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.signature import Signature
from streaming.scoring.results import judged
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import DefaultScore, EventSettings


@dataclass(frozen=True)
class ConstantScorer:
    """A :class:`streaming.models.seams.FrameScorer` that gives every event the same answer."""

    answer: DefaultScore
    features: tuple[str, ...] = ()
    is_proven: bool = True

    def score(self, events: DataFrame) -> DataFrame:
        """Append the answer; an event that the decoder has rejected stays rejected."""
        answer = self.answer
        probability, label = F.lit(None).cast("array<double>"), F.lit(answer.label).cast("string")
        if answer.probability is not None:
            probability = F.array(*map(F.lit, answer.probability))
        confidence = F.lit(max(answer.probability) if answer.probability else None).cast("double")
        values = (F.lit(answer.prediction), probability, label, confidence)
        named = zip(values, c.RESULTS.names, strict=True)
        answered = events.select("*", *(value.alias(name) for value, name in named))
        return answered.select(*judged(self.features, None))

    def tried(self, features: Features) -> ConstantScorer:  # noqa: ARG002 - it throws on no event
        """Return the scorer."""
        return self

    def release(self) -> None:
        """Nothing is held in the cluster."""


@dataclass(frozen=True)
class ConstantAnswers:
    """An :class:`streaming.models.seams.ArrowScorer` that gives every event the same answer."""

    answer: DefaultScore

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Return the answer for each event."""
        answer, rows = self.answer, events.num_rows
        probability = None if answer.probability is None else list(answer.probability)
        values = (answer.prediction, probability, answer.label, max(probability) if probability else None)
        columns = [pa.array([value] * rows, field.type) for value, field in zip(values, c.RESULTS, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=c.RESULTS)


class DefaultScores:
    """Makes default scores as versions; the same one is the same object, so that its plan is kept."""

    def __init__(self, envelope: EventSettings, most: int) -> None:
        """Take how events are read, and the bytes of the longest value that is."""
        self._envelope = envelope
        self._most = most
        self._last: tuple[ModelVersion, Mapping[str, Any], ServedModel | None, ServedModel] | None = None

    def __call__(self, version: ModelVersion, score: Mapping[str, Any], serving: ServedModel | None) -> ServedModel:
        """Return a default score for the events that the serving version takes: those that it rejects stay rejected.

        Args:
            version: its name is the model's for which the score answers.
            score: what it says of every event, as the settings read.
            serving: without it, nothing is read of an event but its envelope.
        """
        last = self._last
        if last is None or last[:2] != (version, score) or last[2] is not serving:
            self._last = last = version, score, serving, self._made(version, score, serving)
        return last[3]

    def in_process(self, version: ModelVersion, score: Mapping[str, Any], serving: ServedModel | None) -> ServedModel:
        """Return the same with a row pass, for a process without Spark."""
        made = self(version, score, serving)
        beside = None if serving is None else serving.row_pass
        row_pass = JsonRowPass(
            package=made.package,
            envelope=self._envelope,
            max_value_bytes=self._most,
            guards=beside.guards if isinstance(beside, JsonRowPass) else (),
            scorer=ConstantAnswers(DefaultScore.model_validate(score)),
        )
        return replace(made, row_pass=row_pass)

    def _made(self, version: ModelVersion, score: Mapping[str, Any], serving: ServedModel | None) -> ServedModel:
        signature = Signature(()) if serving is None else serving.package.signature
        # No files: what is read of a package is its version, its signature and that it has no profile.
        package = ModelPackage(version=version, root=Path(), pipeline_dir=Path(), digest="", signature=signature)
        own = JsonDecoder(signature, self._envelope, self._most, safe_row={}) if serving is None else serving.decoder
        scorer = ConstantScorer(DefaultScore.model_validate(score), signature.names)
        return ServedModel(package, own, scorer, choice=ScorerChoice("native", "it is a constant"))
