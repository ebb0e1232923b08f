"""From a staged pipeline to a version that may serve: allowlist, load, trial. The last also warms it up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import SparkSession

from streaming.errors import PenstockError
from streaming.events.decode import JsonDecoder
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample, NoEvents
from streaming.scoring.layout import PYTHON_CONTAINERS, check_stages
from streaming.scoring.made_up import made_up_event
from streaming.scoring.pipeline import SparkPipeline, load_model
from streaming.scoring.stages import flatten, guards, outputs
from streaming.scoring.trial import Features, Source, prove, prove_golden, valid_features
from streaming.scoring.vocabulary import warn_of_vocabularies
from streaming.settings import EventSettings

_SAMPLE = 200
"""Rows or records among which an event is looked for."""


@dataclass(frozen=True)
class SparkPipelineLoader:
    """Loads versions for one job; ``envelope`` and ``max_value_bytes`` are how that job's events are read.

    ``admit`` is what that job's engine asks of a pipeline beside; it raises ``CandidateRefusedError``. ``sample`` has
    the events of its topic.
    """

    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    extra_stages: tuple[str, ...] = ()
    admit: Callable[[SparkPipeline], None] = lambda _: None
    sample: EventSample = field(default_factory=NoEvents)

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Load the pipeline at ``uri`` and prove it; see :class:`streaming.models.served.PipelineLoader`."""
        outermost = check_stages(package.pipeline_dir, self.extra_stages)[0]
        model = load_model(self.session, uri, saved_by_python=outermost in PYTHON_CONTAINERS)
        stages = flatten(model)
        warn_of_vocabularies(stages, package.signature, package.version)
        pipeline = self._described(package, stages)
        try:
            proven = self._prove(pipeline, package)
            self.admit(proven)
        except PenstockError:
            pipeline.release()
            raise
        return ServedModel(package, proven)

    def _described(self, package: ModelPackage, stages: tuple[Any, ...]) -> SparkPipeline:
        rules = guards(stages, package.signature)
        event = made_up_event(package.signature, rules)
        decoder = JsonDecoder(package.signature, self.envelope, self.max_value_bytes, event, rules)
        return SparkPipeline(self.session, stages, decoder, outputs(stages), package.profile)

    def _prove(self, pipeline: SparkPipeline, package: ModelPackage) -> SparkPipeline:
        if package.golden and package.golden.rows:
            return prove_golden(pipeline, package.golden)
        return prove(pipeline, self._sources(pipeline, package.examples))

    def _sources(self, pipeline: SparkPipeline, examples: Sequence[Features]) -> list[Source]:
        """The topic comes last: its events take a broker and a job, and a made-up one does where it is taken."""
        bare = replace(pipeline.decoder, envelope=EventSettings(id=None, time=None))
        decoding = replace(pipeline, decoder=bare)
        values = [json.dumps(row).encode() for row in examples[:_SAMPLE]]
        return [
            Source("the input example that was logged with it", lambda: valid_features(decoding, values)),
            Source("an event that was made up", lambda: [pipeline.decoder.safe_row], real=False),
            Source("recent events of the topic", lambda: valid_features(pipeline, self.sample.recent(_SAMPLE))),
        ]
