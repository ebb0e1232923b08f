"""Loading a staged pipeline into a version that may serve: allowlist, load, trial. The trial also warms it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from streaming.errors import PenstockError
from streaming.events.decode import JsonDecoder
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample, NoEvents
from streaming.scoring.choice import ScorerChooser
from streaming.scoring.layout import PYTHON_CONTAINERS, check_stages
from streaming.scoring.made_up import made_up_event
from streaming.scoring.pipeline import SparkPipeline, load_model
from streaming.scoring.proving import Proving, read_in
from streaming.scoring.stages import flatten, guards, outputs
from streaming.scoring.vocabulary import warn_of_vocabularies
from streaming.settings import EventSettings, ScorerSetting


@dataclass(frozen=True)
class SparkPipelineLoader:
    """Loads versions for one job; ``envelope`` and ``max_value_bytes`` are how that job's events are read.

    ``admit`` is what that job's engine asks of a version beside; it raises ``CandidateRefusedError``. ``sample`` has
    the events of its topic, and ``scorer`` says in which form versions are wanted.
    """

    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    extra_stages: tuple[str, ...] = ()
    admit: Callable[[ServedModel], None] = lambda _: None
    sample: EventSample = field(default_factory=NoEvents)
    scorer: ScorerSetting = "spark"

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Load the pipeline at ``uri`` and prove it; see :class:`streaming.models.served.PipelineLoader`."""
        outermost = check_stages(package.pipeline_dir, self.extra_stages)[0]
        model = load_model(self.session, uri, saved_by_python=outermost in PYTHON_CONTAINERS)
        stages = flatten(model)
        warn_of_vocabularies(stages, package.signature, package.version)
        pipeline = SparkPipeline(
            session=self.session,
            stages=stages,
            signature=package.signature,
            outputs=outputs(stages),
            profile=package.profile,
        )
        rules = guards(stages, package.signature)
        event = made_up_event(package.signature, rules)
        decoder = JsonDecoder(
            signature=package.signature,
            envelope=self.envelope,
            max_value_bytes=self.max_value_bytes,
            safe_row=event,
            guards=rules,
        )
        try:
            served = self._chosen(Proving(read_in(self.session), self.sample)(package, decoder, pipeline))
            self.admit(served)
        except PenstockError:
            pipeline.release()
            raise
        return served

    def _chosen(self, served: ServedModel) -> ServedModel:
        choose = ScorerChooser(
            setting=self.scorer,
            session=self.session,
            envelope=self.envelope,
            max_value_bytes=self.max_value_bytes,
            sample=self.sample,
        )
        return choose(served)
