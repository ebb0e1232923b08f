"""Pipelines of Spark's that have no compiled form, for a server with a session in its own process.

Events are read as for any other version, one pass for all that wait; only the valid ones' features go to the session.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError, StageNotCompiledError
from streaming.events.columns import RESULTS
from streaming.models.arrow_types import feature_batch
from streaming.models.package import ModelPackage
from streaming.models.seams import FrameScorer
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.signature import Signature
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.loader import SparkPipelineLoader
from streaming.scoring.pipeline import answers
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import ScorerSetting

_TRIES = 5


@dataclass(frozen=True)
class SessionScorer:
    """An :class:`streaming.models.seams.ArrowScorer` whose answers are a frame's."""

    session: SparkSession
    signature: Signature
    scorer: FrameScorer

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Score events by a job of Spark's; see :meth:`streaming.models.seams.ArrowScorer.score`."""
        rows = answers(self.session, self.signature, self.scorer, events.to_pylist())
        return pa.RecordBatch.from_pylist([{name: row[name] for name in RESULTS.names} for row in rows], RESULTS)


@dataclass(frozen=True)
class SessionLoader:
    """A :class:`streaming.models.served.PipelineLoader` of pipelines of Spark's: compiled where that can be.

    Attributes:
        compiled: loads those that compile.
        pipelines: loads the others.
        setting: ``model.scorer``.
    """

    compiled: InProcessLoader
    pipelines: SparkPipelineLoader
    setting: ScorerSetting = "auto"

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Load the version, ready to serve; see :meth:`streaming.models.served.PipelineLoader.load`."""
        if self.setting == "spark":
            return self._by_spark(package, uri, "model.scorer is spark")
        try:
            return self.compiled.load(package, uri)
        except CandidateRefusedError as refusal:
            stage = refusal.__cause__
            if not isinstance(stage, StageNotCompiledError) or self.setting == "compiled":
                raise
            return self._by_spark(package, uri, f"{stage.stage} has no compiled form: {stage.detail}")

    def _by_spark(self, package: ModelPackage, uri: str, why: str) -> ServedModel:
        served = self.pipelines.load(package, uri)
        scorer = SessionScorer(self.pipelines.session, package.signature, served.scorer)
        row_pass = JsonRowPass(
            package=package,
            envelope=self.compiled.envelope,
            max_value_bytes=self.compiled.max_value_bytes,
            guards=served.decoder.guards,
            scorer=scorer,
        )
        choice = ScorerChoice("spark", f"{why}; {_timed(served, scorer)}")
        return replace(served, row_pass=row_pass, choice=choice)


def _timed(served: ServedModel, scorer: SessionScorer) -> str:
    """Return how long a single event takes, which is nearly what hundreds take together."""
    event = feature_batch(served.package.signature, [served.decoder.safe_row])
    if not served.scorer.is_proven:
        return "how long an event takes is not known, as none is known on which it does not throw"
    seconds = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        scorer.score(event)
        seconds.append(time.perf_counter() - began)
    return f"a job of Spark's for one event took {statistics.median(seconds) * 1_000:.0f} ms when it was loaded"
