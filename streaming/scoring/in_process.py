"""Versions that score in this process alone, for a server, a shadow or among many models: no Spark, none of their code.

A pipeline of Spark's is read from its files and compiled, another library's model is evaluated by that library. Golden
rows, input example and guards are the stream's own. What only Spark could say is left out: whether the compiled form
answers as Spark does on events that the version does not bring itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, NoReturn

from pyspark.sql import DataFrame

from streaming.errors import CandidateRefusedError, ScoringError, StageNotCompiledError, StageUnreadableError
from streaming.events.decode import JsonDecoder
from streaming.models.arrow_types import feature_batch, feature_schema
from streaming.models.package import CODE_FLAVOR, SPARK_FLAVOR, ModelPackage
from streaming.models.seams import ArrowScorer, Features, Guard
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.signature import Signature
from streaming.models.topic_schema import NoEvents
from streaming.refusal_codes import RefusalCode
from streaming.scoring.compiled.row_program import row_program
from streaming.scoring.compiled.scorer import CompiledScorer, load_scorer
from streaming.scoring.flavours.flavour import SavedModel
from streaming.scoring.flavours.loader import read_scorer
from streaming.scoring.flavours.scorer import NativeScorer, reading_report
from streaming.scoring.layout import check_stages
from streaming.scoring.made_up import made_up_event
from streaming.scoring.proving import Proving
from streaming.scoring.recorded import valid_events_of
from streaming.scoring.row_pass import JsonRowPass
from streaming.scoring.saved_stages import saved_guards
from streaming.settings import EventSettings


@dataclass(frozen=True)
class InProcessScorer:
    """An :class:`streaming.models.seams.ArrowScorer` where a version has its scorer in frames."""

    scorer: ArrowScorer
    signature: Signature
    is_proven: bool = False

    def score(self, events: DataFrame) -> NoReturn:
        """Refuse frames, which need Spark."""
        raise ScoringError(f"{events} cannot be scored: this process has no Spark, and scores by row passes alone")

    def tried(self, features: Features) -> InProcessScorer:
        """Return the scorer as proven by an event; see :meth:`streaming.models.seams.FrameScorer.tried`."""
        return self.answers([features])[0]

    def answers(self, events: Sequence[Features]) -> tuple[InProcessScorer, list[Mapping[str, Any]]]:
        """Return the scorer as proven by events, and what came of each.

        Raises:
            ScoringError: it throws, with its own words for it.
        """
        rows: list[Mapping[str, Any]] = self.scorer.score(feature_batch(self.signature, events)).to_pylist()
        return replace(self, is_proven=True), rows

    def release(self) -> None:
        """Nothing is held but memory."""


@dataclass(frozen=True)
class InProcessLoader:
    """A :class:`streaming.models.served.PipelineLoader` of every flavor; its fields are those of the other loaders.

    With ``singly``, versions also score single events without Arrow; who has batches alone saves the time for that.
    """

    envelope: EventSettings
    max_value_bytes: int
    extra_stages: tuple[str, ...] = ()
    code_seconds: float | None = None
    singly: bool = False

    def load(self, package: ModelPackage, uri: str) -> ServedModel:  # noqa: ARG002 - nobody else reads the files
        """Read the model and prove it; see :meth:`streaming.models.served.PipelineLoader.load`."""
        scorer, guards, choice = self._pipeline(package) if package.flavor == SPARK_FLAVOR else self._native(package)
        signature = package.signature
        event = made_up_event(signature, guards)
        decoder = JsonDecoder(signature, self.envelope, self.max_value_bytes, event, guards)
        proving = Proving(self._valid_features, NoEvents())
        served = proving(package, decoder, InProcessScorer(scorer, signature))
        row_pass = JsonRowPass(
            package=package,
            envelope=self.envelope,
            max_value_bytes=self.max_value_bytes,
            guards=guards,
            scorer=scorer,
            program=row_program(scorer) if self.singly and isinstance(scorer, CompiledScorer) else None,
        )
        return replace(served, row_pass=row_pass, choice=choice)

    def _pipeline(self, package: ModelPackage) -> tuple[ArrowScorer, tuple[Guard, ...], ScorerChoice]:
        check_stages(package.pipeline_dir, self.extra_stages)
        try:
            scorer = load_scorer(package.pipeline_dir, feature_schema(package.signature))
            guards = saved_guards(scorer.program.stages, package.signature)
        except StageUnreadableError as problem:
            raise CandidateRefusedError(RefusalCode.CORRUPT_FILES, str(problem)) from problem
        except StageNotCompiledError as problem:
            raise CandidateRefusedError(
                RefusalCode.NOT_COMPILED,
                f"Spark scores nothing here, and {problem.stage} ({problem.kind}) has no compiled form:"
                f" {problem.detail}. Train the model with stages that docs/compiled.md lists, or score it by penstock"
                " score or batch",
            ) from problem
        return scorer, guards, ScorerChoice("compiled", _by_golden_rows(package))

    def _native(self, package: ModelPackage) -> tuple[ArrowScorer, tuple[Guard, ...], ScorerChoice]:
        scorer, choice = read_scorer(package, self.code_seconds, _tried)
        return scorer, (), choice

    def _valid_features(
        self, package: ModelPackage, decoder: JsonDecoder, values: Sequence[bytes]
    ) -> Sequence[Features]:
        return valid_events_of(package, decoder.envelope, self.max_value_bytes, values)


def own_row_pass(model: ServedModel, *, binned: bool = False) -> JsonRowPass:
    """Return a copy of the version's row pass: its decoder learns, and so belongs to one thread.

    Without ``binned`` no row has bins: to find them takes a quarter of the time.
    """
    if not isinstance(model.row_pass, JsonRowPass):
        raise TypeError(f"{model.version} was loaded without a row pass")
    return replace(model.row_pass, package=model.package if binned else replace(model.package, profile=None))


def _by_golden_rows(package: ModelPackage) -> str:
    if package.golden is None or not package.golden.rows:
        return "Spark scores nothing here, and the version has no golden rows that its answers were compared with"
    return f"its answers are those of {len(package.golden.rows)} golden rows, within {package.golden.tolerance:.1e}"


def _tried(scorer: NativeScorer) -> str:
    """Read the model in another process, which a damaged file may crash without harm to this one.

    Returns:
        The library and its version.

    Raises:
        CandidateRefusedError: what the flavour refuses, or ``CORRUPT_FILES``; the process died of it.
    """
    # Code has a process of its own wherever it is loaded.
    code, text = (reading_report if scorer.saved.flavor == CODE_FLAVOR else _report_of_a_child)(scorer.saved)
    if code:
        raise CandidateRefusedError(RefusalCode[code], text)
    return text


def _report_of_a_child(saved: SavedModel) -> tuple[str | None, str]:
    # Forked from a server with threads, the child could wait for ever for a lock that nobody holds there.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(reading_report, saved).result()
        except BrokenProcessPool as problem:
            raise CandidateRefusedError(
                RefusalCode.CORRUPT_FILES,
                f"the process that read the {saved.flavor} model died of it; log the model again",
            ) from problem
