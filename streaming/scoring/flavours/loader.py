"""From a version's model file to a version that may serve: read as bytes, tried in a worker, proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events.decode import JsonDecoder
from streaming.models.own_files import malformed, own_file
from streaming.models.package import ALLOW_CODE, CODE_FLAVOR, ModelPackage
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.topic_schema import EventSample, NoEvents
from streaming.refusal_codes import RefusalCode
from streaming.scoring.arrow_frames import ArrowFrames
from streaming.scoring.code.files import packed
from streaming.scoring.flavours.flavour import SavedModel
from streaming.scoring.flavours.scorer import NativeScorer
from streaming.scoring.flavours.table import FLAVOURS, WITH_CODE
from streaming.scoring.made_up import made_up_event
from streaming.scoring.proving import Proving, read_in
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings, ScorerSetting

MOST_BYTES = 1 << 29
"""The largest file of a model that is read; it travels to every worker."""


@dataclass(frozen=True)
class NativeLoader:
    """Loads versions of the flavors in :data:`FLAVOURS`, for one job, without running anything of theirs.

    Only where ``code_seconds`` is set, versions that have no such form are scored by their own code.

    Its fields are those of :class:`streaming.scoring.loader.SparkPipelineLoader`. Where ``scorer`` is ``spark``, Spark
    decodes the events, and Python workers score them all the same.
    """

    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    admit: Callable[[ServedModel], None] = lambda _: None
    sample: EventSample = field(default_factory=NoEvents)
    scorer: ScorerSetting = "spark"
    code_seconds: float | None = None
    """The longest that a version's own code may take for a batch; ``None`` where none is run."""

    def load(self, package: ModelPackage, uri: str) -> ServedModel:  # noqa: ARG002 - the files travel with the tasks
        """Read the model and prove it; see :class:`streaming.models.served.PipelineLoader`."""
        scorer, choice = read_scorer(package, self.code_seconds, partial(_tried, self.session))
        signature = package.signature
        decoder = JsonDecoder(signature, self.envelope, self.max_value_bytes, made_up_event(signature, ()))
        frames = ArrowFrames(self.session, scorer, signature, package.profile)
        served = Proving(read_in(self.session), self.sample)(package, decoder, frames)
        served = replace(served, choice=choice)
        if self.scorer != "spark":
            row_pass = JsonRowPass(package, self.envelope, self.max_value_bytes, served.decoder.guards, scorer)
            served = replace(served, row_pass=row_pass)
        self.admit(served)
        return served


def _tried(session: SparkSession, scorer: NativeScorer) -> str:
    return scorer.tried_in_a_worker(session)


def read_scorer(
    package: ModelPackage, code_seconds: float | None, tried: Callable[[NativeScorer], str]
) -> tuple[NativeScorer, ScorerChoice]:
    """Return what scores a version: its library, or its code where only that can and it is allowed.

    Args:
        package: the version.
        code_seconds: the longest that its code may take for a batch; ``None`` where none is run.
        tried: reads the model where a crash does no harm, and returns the library and its version.

    Raises:
        CandidateRefusedError: ``NEEDS_CODE``, or what ``tried`` raises.
    """
    if package.flavor != CODE_FLAVOR:
        try:
            scorer = NativeScorer(saved_model(package))
            return scorer, ScorerChoice("native", f"{tried(scorer)} evaluates it")
        except CandidateRefusedError as refusal:
            if refusal.reason is not RefusalCode.NEEDS_CODE:
                raise
            if code_seconds is None:
                raise CandidateRefusedError(refusal.reason, f"{refusal.detail}. {ALLOW_CODE}") from refusal
    scorer = NativeScorer(_saved_code(package, code_seconds or 0.0))
    return scorer, ScorerChoice("pyfunc", f"its own code runs in a process of its own, by {tried(scorer)}")


def _saved_code(package: ModelPackage, seconds: float) -> SavedModel:
    """Return a version's whole folder; scikit-learn's own estimators are asked for their probabilities, too."""
    kind = "sklearn" if package.flavor == "sklearn" else WITH_CODE[CODE_FLAVOR].file(package.section).kind
    content = packed(package.root, MOST_BYTES)
    return SavedModel(CODE_FLAVOR, kind, package.signature, package.digest, content, seconds)


def saved_model(package: ModelPackage) -> SavedModel:
    """Return the bytes of a version's model file and what the version's description says of them.

    Raises:
        CandidateRefusedError: ``NEEDS_CODE``, or ``MALFORMED``: the file is not there, not the version's or too large.
    """
    file = FLAVOURS[package.flavor].file(package.section)
    path = own_file(package.root, file.name, f"file of the flavor {package.flavor}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CandidateRefusedError(
                RefusalCode.MALFORMED, f"{path.name} has more than {MOST_BYTES >> 20} MiB, the most that is served"
            )
        content = path.read_bytes()
    except OSError as problem:
        raise malformed(f"{path.name} cannot be read: {problem}") from problem
    return SavedModel(package.flavor, file.kind, package.signature, package.digest, content)
