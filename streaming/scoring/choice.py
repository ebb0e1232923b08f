"""Which form of a version scores the stream: the compiled one where its answers are Spark's, else Spark's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from streaming.errors import BrokerUnavailableError, CandidateRefusedError, ScoringError, StageNotCompiledError
from streaming.models.arrow_types import feature_schema
from streaming.models.package import ModelPackage
from streaming.models.seams import Features
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.topic_schema import EventSample
from streaming.refusal_codes import RefusalCode
from streaming.scoring.compiled.scorer import CompiledScorer, load_scorer
from streaming.scoring.edges import edge_events
from streaming.scoring.parity import Parity, compared, valid_events
from streaming.scoring.pipeline import answers
from streaming.scoring.recorded import MOST_RECORDED, recorded_events, valid_events_of
from streaming.scoring.row_pass import JsonRowPass
from streaming.scoring.throwing import thrown_on
from streaming.scoring.trial import records_of
from streaming.settings import EventSettings, ScorerSetting
from streaming.spark.causes import root_cause

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ScorerChooser:
    """Chooses for the versions of one job.

    Attributes:
        setting: ``model.scorer``.
        session: where Spark scores what is compared.
        envelope: how the job's events are read; ``max_value_bytes`` bounds them.
        sample: has the recent events of its topic.
    """

    setting: ScorerSetting
    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    sample: EventSample

    def __call__(self, served: ServedModel) -> ServedModel:
        """Return the version with what scores it and why; with a row pass if that is the compiled form.

        Args:
            served: the version, tried on an event if one was known.

        Raises:
            CandidateRefusedError: ``NOT_COMPILED``, where nothing but the compiled form is wanted.
        """
        if self.setting == "spark":
            return replace(served, choice=ScorerChoice("spark", "no other form was asked for"))
        try:
            scorer, parity = self._tried(served)
            if not parity.holds:
                _log.warning("the compiled form differs from Spark", model=str(served.version), detail=str(parity))
                return self._by_spark(served, f"the compiled form is not used: {parity}")
            row_pass = self._row_pass(served, scorer)
        except (StageNotCompiledError, ScoringError) as problem:
            return self._by_spark(served, str(problem))
        return replace(served, row_pass=row_pass, choice=ScorerChoice("compiled", str(parity)))

    def _row_pass(self, served: ServedModel, scorer: CompiledScorer) -> JsonRowPass:
        """Return the pass that a worker was seen to run.

        Raises:
            ScoringError: workers cannot run it.
        """
        row_pass = JsonRowPass(
            package=served.package,
            envelope=self.envelope,
            max_value_bytes=self.max_value_bytes,
            guards=served.decoder.guards,
            scorer=scorer,
        )
        try:
            # The executors of a cluster have an environment of their own, which may lack a package of the driver's.
            row_pass.over(records_of(self.session, [b"{}"])).collect()
        except (PySparkException, Py4JJavaError) as problem:
            raise ScoringError(f"Spark's workers cannot run the compiled form: {root_cause(problem)}") from problem
        return row_pass

    def _tried(self, served: ServedModel) -> tuple[CompiledScorer, Parity]:
        package, signature, decoder = served.package, served.package.signature, served.decoder
        scorer = load_scorer(package.pipeline_dir, feature_schema(signature))
        if not served.scorer.is_proven:
            raise ScoringError("no event is known on which the version does not throw, so nothing could be compared")
        real = [decoder.safe_row, *self._real(package)]
        made_up = edge_events(package, scorer.program.stages, real)
        events = valid_events([*real, *made_up], signature, decoder.guards)
        # A batch with an event on which the compiled form throws is scored by Spark.
        events = events.filter(pa.array(~thrown_on(scorer, events)))
        expected = answers(self.session, signature, served.scorer, events.to_pylist())
        return scorer, compared(events, scorer, expected)

    def _real(self, package: ModelPackage) -> list[Features]:
        """Return the golden rows, the input example and recent events of the topic."""
        try:
            values = self.sample.recent(MOST_RECORDED)
        except BrokerUnavailableError:
            # The other events say enough; whether the topic can be read is another check's to say.
            values = ()
        recent = valid_events_of(package, self.envelope, self.max_value_bytes, values)
        return [*recorded_events(package, self.max_value_bytes), *recent]

    def _by_spark(self, served: ServedModel, why: str) -> ServedModel:
        if self.setting == "compiled":
            raise CandidateRefusedError(
                RefusalCode.NOT_COMPILED, f"model.scorer is compiled, and {why}; set it to auto or spark"
            )
        return replace(served, choice=ScorerChoice("spark", why))
