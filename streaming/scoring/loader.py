"""From a staged pipeline to a version that may serve: allowlist, load, trial. The last also warms it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events.decode import Decoder
from streaming.events.guards import Guard, InRange, InVocabulary
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.signature import Column
from streaming.scoring.layout import PYTHON_CONTAINERS, check_stages
from streaming.scoring.pipeline import SparkPipeline, load_model
from streaming.scoring.stages import flatten, guards, outputs
from streaming.scoring.trial import Source, prove, prove_golden
from streaming.settings import EventSettings

_ZERO: dict[str, Any] = {"double": 0.0, "float": 0.0, "long": 0, "integer": 0, "boolean": False, "string": ""}


@dataclass(frozen=True)
class SparkPipelineLoader:
    """Loads versions for one job; ``envelope`` and ``max_value_bytes`` are how that job's events are read.

    ``admit`` is what that job's engine asks of a pipeline beside; it raises ``CandidateRefusedError``.
    """

    session: SparkSession
    envelope: EventSettings
    max_value_bytes: int
    extra_stages: tuple[str, ...] = ()
    admit: Callable[[SparkPipeline], None] = lambda _: None

    def load(self, package: ModelPackage, uri: str) -> ServedModel:
        """Load the pipeline at ``uri`` and prove it; see :class:`streaming.models.served.PipelineLoader`."""
        outermost = check_stages(package.pipeline_dir, self.extra_stages)[0]
        model = load_model(self.session, uri, saved_by_python=outermost in PYTHON_CONTAINERS)
        pipeline = self._described(package, flatten(model))
        try:
            proven = self._prove(pipeline, package)
            self.admit(proven)
        except CandidateRefusedError:
            pipeline.release()
            raise
        return ServedModel(package, proven)

    def _described(self, package: ModelPackage, stages: tuple[Any, ...]) -> SparkPipeline:
        rules = guards(stages, package.signature)
        made_up = {column.name: _harmless(column, rules) for column in package.signature.columns}
        decoder = Decoder(package.signature, self.envelope, self.max_value_bytes, made_up, rules)
        return SparkPipeline(self.session, stages, decoder, outputs(stages), package.profile)

    def _prove(self, pipeline: SparkPipeline, package: ModelPackage) -> SparkPipeline:
        if package.golden and package.golden.rows:
            return prove_golden(pipeline, package.golden)
        return prove(pipeline, [Source("an event that was made up", lambda: [pipeline.decoder.safe_row])])


def _harmless(column: Column, found: tuple[Guard, ...]) -> Any:
    for guard in found:
        if guard.column == column.name and isinstance(guard, InVocabulary) and guard.categories:
            return guard.categories[0] if column.type == "string" else float(guard.categories[0])
        if guard.column == column.name and isinstance(guard, InRange):
            return min(max(0.0, guard.low), guard.high)
    return _ZERO[column.type]
