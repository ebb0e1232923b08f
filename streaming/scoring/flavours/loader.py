"""From a version's model file to a version that may serve: read as bytes, tried in a worker, proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events.decode import JsonDecoder
from streaming.models.own_files import malformed, own_file
from streaming.models.package import ModelPackage
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.topic_schema import EventSample, NoEvents
from streaming.refusal_codes import RefusalCode
from streaming.scoring.arrow_frames import ArrowFrames
from streaming.scoring.flavours.flavour import SavedModel
from streaming.scoring.flavours.scorer import NativeScorer
from streaming.scoring.flavours.table import FLAVOURS
from streaming.scoring.made_up import made_up_event
from streaming.scoring.proving import Proving, read_in
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings, WantedScorer

MOST_BYTES = 1 << 29
"""The largest file of a model that is read; it travels to every worker."""


@dataclass(frozen=True)
class NativeLoader:
    """Loads versions of the flavors in :data:`FLAVOURS`, for one job, without running anything of theirs.

    Its fields are those of :class:`streaming.scoring.loader.SparkPipelineLoader`. Where ``scorer`` is ``spark``, Spark
    decodes the events, and Python workers score them all the same.
    """

    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    admit: Callable[[ServedModel], None] = lambda _: None
    sample: EventSample = field(default_factory=NoEvents)
    scorer: WantedScorer = "spark"

    def load(self, package: ModelPackage, uri: str) -> ServedModel:  # noqa: ARG002 - the files travel with the tasks
        """Read the model and prove it; see :class:`streaming.models.served.PipelineLoader`."""
        scorer = NativeScorer(saved_model(package))
        evaluated_by = scorer.tried_in_a_worker(self.session)
        signature = package.signature
        decoder = JsonDecoder(signature, self.envelope, self.max_value_bytes, made_up_event(signature, ()))
        frames = ArrowFrames(self.session, scorer, signature, package.profile)
        served = Proving(read_in(self.session), self.sample)(package, decoder, frames)
        served = replace(served, choice=ScorerChoice("native", f"{evaluated_by} evaluates it"))
        if self.scorer != "spark":
            row_pass = JsonRowPass(package, self.envelope, self.max_value_bytes, served.decoder.guards, scorer)
            served = replace(served, row_pass=row_pass)
        self.admit(served)
        return served


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
