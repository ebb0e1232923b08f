"""A version's answers to events as they stand on the input topic, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from schemas.dead_letter import Reason
from schemas.shadow_prediction import PairedAnswer
from streaming.errors import PenstockError, ScoringError
from streaming.events import columns as c
from streaming.models.served import ServedModel
from streaming.outputs.arrow_values import python_cells
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.searched import searched
from streaming.shadow.served import finite_numbers, finite_or_none

_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_COLUMNS = (c.VERDICT, c.PREDICTION, c.LABEL, c.PROBABILITY, c.CONFIDENCE)
_MOST_ERROR_CHARACTERS = 500


class InputEvent(NamedTuple):
    """A record of the input topic; ``timestamp`` is in milliseconds since 1970."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class ShadowScorer:
    """One version, for one thread. What it throws is an answer, too, and never reaches the caller."""

    def __init__(self, model: ServedModel) -> None:
        self._version = model.version
        self._row_pass = own_row_pass(model)

    def answers(self, events: Sequence[InputEvent]) -> list[PairedAnswer]:
        """Return an answer to each event: what its prediction would say, or why it would be a dead letter."""
        return searched(self._scored, events, self._thrown)

    def _scored(self, events: Sequence[InputEvent]) -> list[PairedAnswer]:
        try:
            rows = self._row_pass.score(_records(events))
        except PenstockError:
            raise
        # A library may throw anything, and the version's failure must not become the process's.
        except Exception as problem:
            raise ScoringError(f"{type(problem).__name__}: {problem}") from problem
        return list(map(self._answer, zip(*(python_cells(rows.column(name)) for name in _COLUMNS), strict=True)))

    def _answer(self, row: tuple[Any, ...]) -> PairedAnswer:
        """Return the answer of one row of :data:`_COLUMNS`."""
        verdict, prediction, label, probability, confidence = row
        name, version = self._version.name, self._version.version
        if verdict is not None:
            return PairedAnswer(name, version, reason=verdict["reason"], field=verdict["field"])
        return PairedAnswer(
            model=name,
            version=version,
            prediction=prediction,
            label=label,
            probability=None if probability is None else finite_numbers(probability),
            confidence=finite_or_none(confidence),
        )

    def _thrown(self, problem: ScoringError) -> PairedAnswer:
        return PairedAnswer(
            model=self._version.name,
            version=self._version.version,
            reason=Reason.SCORING_FAILED.value,
            error=str(problem)[:_MOST_ERROR_CHARACTERS],
        )


def _records(events: Sequence[InputEvent]) -> pa.RecordBatch:
    """Return the events as the stream's job would read them, but for their headers, which no answer depends on."""
    partitions, offsets, timestamps, keys, values = zip(*events, strict=True)
    return pa.record_batch(
        {
            "key": pa.array(keys, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(len(events), _HEADERS),
            "partition": pa.array(partitions, pa.int32()),
            "offset": pa.array(offsets, pa.int64()),
            "timestamp": pa.array([1_000 * time for time in timestamps], pa.timestamp("us", tz="UTC")),
        }
    )
