"""From a staged pipeline to a version that may serve: allowlist, load, plan, golden rows. The last also warms it up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.events.decode import Decoder
from streaming.events.guards import Guard, InRange, InVocabulary
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.scoring.layout import PYTHON_CONTAINERS, check_stages
from streaming.scoring.pipeline import SparkPipeline, load_model
from streaming.scoring.plan import check_plan
from streaming.scoring.score import score_decoded
from streaming.scoring.stages import flatten, guards, outputs
from streaming.scoring.vocabulary import warn_of_vocabularies
from streaming.settings import EventSettings

_ARROW = {
    "double": pa.float64(),
    "float": pa.float32(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
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
        stages = flatten(model)
        warn_of_vocabularies(stages, package.signature, package.version)
        found = guards(stages, package.signature)
        safe = safe_row(package.signature, package.golden, found)
        decoder = Decoder(package.signature, self.envelope, self.max_value_bytes, safe, found)
        pipeline = SparkPipeline(self.session, model, decoder, outputs(stages), package.profile)
        try:
            self._prove(pipeline, package.golden)
            self.admit(pipeline)
        except CandidateRefusedError:
            pipeline.release()
            raise
        return ServedModel(package, pipeline)

    def _prove(self, pipeline: SparkPipeline, golden: GoldenRows | None) -> None:
        safe = GoldenRow(pipeline.decoder.safe_row, math.nan)
        rows = golden.rows if golden else ()
        try:
            frame = _feature_frame(self.session, pipeline.decoder.signature, [row.features for row in (safe, *rows)])
            check_plan(pipeline.transform(frame))
            results = sorted(score_decoded(frame, pipeline).collect(), key=lambda row: row[c.OFFSET])
        except (PySparkException, Py4JJavaError) as problem:
            raise CandidateRefusedError(
                "TRIAL_FAILED",
                f"the pipeline throws on a valid event: {_cause(problem)}. Golden rows logged with the model"
                " (penstock/golden.json) give Penstock an event that is known to be good.",
            ) from problem
        for row, result in zip(rows, results[1:], strict=True):
            _compare(row, result, golden.tolerance if golden else 0.0)


def safe_row(signature: Signature, golden: GoldenRows | None, found: tuple[Guard, ...]) -> dict[str, Any]:
    """Return an event's features that the pipeline takes: a golden row, or one made of what the stages say."""
    known = dict(golden.rows[0].features) if golden and golden.rows else {}
    return {column.name: known.get(column.name, _harmless(column, found)) for column in signature.columns}


def _harmless(column: Column, found: tuple[Guard, ...]) -> Any:
    for guard in found:
        if guard.column == column.name and isinstance(guard, InVocabulary) and guard.categories:
            return guard.categories[0] if column.type == "string" else float(guard.categories[0])
        if guard.column == column.name and isinstance(guard, InRange):
            return min(max(0.0, guard.low), guard.high)
    return _ZERO[column.type]


def _feature_frame(session: SparkSession, signature: Signature, rows: list[dict[str, Any]]) -> DataFrame:
    """Feature rows as a frame that ``select_outputs`` takes: the position stands where a record's offset would."""
    columns = {
        column.name: pa.array([row.get(column.name) for row in rows], _ARROW[column.type])
        for column in signature.columns
    }
    # By way of Arrow, which needs no Python worker: a failure here is the pipeline's.
    frame = session.createDataFrame(pa.table({c.OFFSET: pa.array(range(len(rows)), pa.int64()), **columns}))
    missing = [name for name in (*c.SOURCE, *c.ENVELOPE) if name != c.OFFSET]
    return frame.select("*", *(F.lit(None).cast("string").alias(name) for name in missing))


def _compare(expected: GoldenRow, result: Row, tolerance: float) -> None:
    got = (result[c.PREDICTION], *(result[c.PROBABILITY] or ()))
    wanted = (expected.prediction, *expected.probability)
    if len(got) < len(wanted) or not all(_close(a, b, tolerance) for a, b in zip(wanted, got, strict=False)):
        raise CandidateRefusedError(
            "GOLDEN_ROW_FAILED",
            f"for {expected.features} the model gave {got} here and {wanted} at training; its files, its Spark version"
            " or its features differ",
        )


def _close(wanted: float, got: float | None, tolerance: float) -> bool:
    return got is not None and math.isclose(wanted, got, rel_tol=0, abs_tol=tolerance)


def _cause(problem: BaseException) -> str:
    text = problem.java_exception.toString() if isinstance(problem, Py4JJavaError) else str(problem)
    return next(iter(str(text).splitlines()), type(problem).__name__)
