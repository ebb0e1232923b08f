"""A model of another library as an :class:`streaming.models.seams.ArrowScorer`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events.columns import RESULTS
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.flavour import NativeModel, SavedModel
from streaming.scoring.flavours.table import WITH_CODE

_RESIDENT = 4
"""Models that a process keeps: the one that serves, the one before, a candidate, and room for a second arm."""


@dataclass(frozen=True)
class NativeScorer:
    """Scores by the model's own library. Tasks are given the file's bytes, and read them once in each process."""

    saved: SavedModel

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Score a batch; see :class:`streaming.models.seams.ArrowScorer`."""
        if not events.num_rows:  # not every library takes none
            return pa.RecordBatch.from_pylist([], RESULTS)
        model = _read(self.saved)
        try:
            return model.answer(events.select(list(self.saved.signature.names)))
        except Exception as problem:  # libraries have no common error
            raise ScoringError(f"{self.saved.flavor} says: {problem}") from problem

    def tried_in_a_worker(self, session: SparkSession) -> str:
        """Read the model in a worker, which a damaged file may crash without harm to the job.

        Returns:
            The library and its version.

        Raises:
            CandidateRefusedError: ``LIBRARY_MISSING``, ``CORRUPT_FILES``, ``SIGNATURE_UNSUPPORTED`` or another
                of what the flavour refuses.
        """
        try:
            reports = session.range(0, 1, 1, 1).mapInArrow(partial(_report, self.saved), "code string, text string")
            (report,) = reports.collect()
        except (PySparkException, Py4JJavaError) as problem:
            raise CandidateRefusedError(
                RefusalCode.CORRUPT_FILES,
                f"the Python worker that read the {self.saved.flavor} model died of it; log the model again",
            ) from problem
        if report["code"]:
            raise CandidateRefusedError(RefusalCode[report["code"]], report["text"])
        return str(report["text"])


@lru_cache(maxsize=_RESIDENT)
def _read(saved: SavedModel) -> NativeModel:
    """Return this process's own model; read once, however many tasks bring it."""
    return WITH_CODE[saved.flavor].read(saved)


def _report(saved: SavedModel, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _ in batches:
        code, text = reading_report(saved)
        yield pa.record_batch({"code": pa.array([code], pa.string()), "text": [text]})


def reading_report(saved: SavedModel) -> tuple[str | None, str]:
    """Read a model here, and return the code of its refusal with a sentence, or no code with library and version."""
    library = WITH_CODE[saved.flavor].library
    try:
        version = f"{library} {importlib.import_module(library).__version__}"
        _read(saved)
    except CandidateRefusedError as refusal:
        return refusal.reason.name, refusal.detail
    except ImportError as problem:
        return RefusalCode.LIBRARY_MISSING.name, (
            f"a version of the flavor {saved.flavor} needs a library that is not installed where the job runs"
            f' ({problem}): pip install "penstock[{saved.flavor}]"'
        )
    except Exception as problem:  # libraries have no common error
        return RefusalCode.CORRUPT_FILES.name, f"{library} cannot read the model's file: {problem}"
    return None, version
