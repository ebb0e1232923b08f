"""Records to scored rows by the versions of several arms in one pass: split by the arm, scored, put together again.

A row has what its own arm's version would say of it in a :class:`streaming.scoring.row_pass.JsonRowPass` of its own, by
whose rules it is read, too. :class:`streaming.scoring.arms.ArmScorer` does the same in frames, and is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_records import decoded_rows
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.events.columns import RESULTS
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.pickling import PickledByFields
from streaming.scoring.arm_times import ArmPart, ArmTimes
from streaming.scoring.arrow_frames import scored_over
from streaming.scoring.row_pass import BEFORE, JsonRowPass
from streaming.scoring_time import ScoringTime
from streaming.settings import EventSettings

ArmNumbers = Callable[[pa.BinaryArray, pa.StringArray], NDArray[np.int8]]
"""The number of each event's arm, 0 for the champion's, by the records' keys and the events' ids."""

_SCORED = pa.schema([*BEFORE, *RESULTS, (c.VERDICT, VERDICT_STRUCT), (c.BINS, pa.binary())])
"""What rows of all arms have; their features differ."""
_SCHEMA = _SCORED.append(pa.field(c.ARM, pa.int8()))


@dataclass(frozen=True)
class ArmPass(PickledByFields):
    """A :class:`streaming.models.seams.RowPass` of a batch with several arms.

    Attributes:
        passes: each arm's, the champion's first; all read the envelope alike.
        numbers_of: which event is whose.
    """

    passes: tuple[JsonRowPass, ...]
    numbers_of: ArmNumbers

    @property
    def others(self) -> tuple[ModelVersion, ...]:
        """None: the batch's orders have the stamps of its arms."""
        return ()

    def score(self, records: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:  # noqa: ARG002
        """Split, score each part by its arm's pass, and put the rows together again.

        Args:
            records: as :meth:`streaming.models.seams.RowPass.score` takes them.
            at: nothing is looked up for several arms.

        Returns:
            n rows in the same order: the source columns, the envelope, the answers, bins, and ``columns.ARM``.

        Raises:
            ScoringError: a version throws on an event of its arm.
        """
        numbers = self._numbers(records)
        parts = self._parts(numbers)
        scored = [self._scored(records, part) for part in parts]
        together = scored[0] if len(scored) == 1 else _in_order(scored, np.concatenate([part.rows for part in parts]))
        return pa.RecordBatch.from_arrays([*together.columns, pa.array(numbers, pa.int8())], _SCHEMA.names)

    def counts(self) -> dict[str, float]:
        """Return nothing: nothing is looked up."""
        return {}

    def times(self) -> Mapping[int, ScoringTime]:
        """Return the times of batches that have events of all arms; see :mod:`streaming.scoring.arm_times`."""
        return self._times.taken()

    def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:  # noqa: ARG002 - see score
        """Do the same with a frame of records; see :meth:`streaming.models.seams.RowPass.over`."""
        return scored_over(records, self, _SCHEMA)

    def of_decoded(self, events: DataFrame) -> DataFrame:
        """Refuse events that are read already: each arm's version reads its own by its own rules."""
        raise ScoringError(f"{events} cannot be scored by several arms: the events are read by one version's rules")

    @cached_property
    def _envelope(self) -> EventSettings:
        """The envelope with the event's id alone, the only field that an arm may depend on beside the key."""
        return EventSettings(id=self.passes[0].envelope.id, time=None, key=None)

    @cached_property
    def _ids(self) -> TieredRowDecoder:
        """A decoder of ids by no version's rules. It also reads events that a version rejects for their features."""
        return TieredRowDecoder(Signature(()), self._envelope, self.passes[0].max_value_bytes)

    @cached_property
    def _times(self) -> ArmTimes:
        return ArmTimes()

    def _parts(self, numbers: NDArray[np.int8]) -> list[ArmPart]:
        # Without events, the champion's pass makes the columns.
        present = np.unique(numbers).tolist() or [0]
        parts = [ArmPart(arm, np.flatnonzero(numbers == arm)) for arm in present]
        return self._times.comparable(parts) if len(parts) == len(self.passes) else parts

    def _numbers(self, records: pa.RecordBatch) -> NDArray[np.int8]:
        keys = records.column("key")
        ids = pa.nulls(len(keys), pa.string())
        # Most streams have keys, and then nothing is read twice.
        if keys.null_count:
            keyless = keys.is_null()
            chosen = records.filter(keyless)
            read = decoded_rows(chosen, self._ids.read(chosen.column("value")), self._envelope)
            ids = pc.replace_with_mask(ids, keyless, read.column(c.EVENT_ID))
        return self.numbers_of(keys, ids)

    def _scored(self, records: pa.RecordBatch, part: ArmPart) -> pa.RecordBatch:
        own = records if len(part.rows) == records.num_rows else records.take(pa.array(part.rows))
        with self._times.measured(part):
            scored = self.passes[part.arm].score(own)
        return scored.select(_SCORED.names)


def _in_order(scored: list[pa.RecordBatch], rows: NDArray[np.int64]) -> pa.RecordBatch:
    """Return one batch, the k-th row of the parts together being row ``rows[k]`` of it."""
    return pa.concat_batches(scored).take(pa.array(np.argsort(rows)))
