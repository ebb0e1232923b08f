"""Records to scored rows by many models in one pass: decoded once, split by their models, scored, put together again.

A row has what its own model's :class:`streaming.scoring.row_pass.JsonRowPass` would say of it. What a model throws is
its own events' matter: those that it throws on are searched for here and rejected, and no other row notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from schemas.dead_letter import Reason, Rejection
from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_records import decoded_rows
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.events.columns import RESULTS
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelVersion
from streaming.models.table import ModelTable, ProgramLimits
from streaming.pickling import PickledByFields
from streaming.scoring.arrow_frames import scored_over
from streaming.scoring.arrow_results import with_invalid_predictions
from streaming.scoring.model_files import ModelProgram, ResidentPrograms, read_table, resident_programs
from streaming.scoring.routed_events import ModelEvents, RoutedDecoder, spread
from streaming.scoring.routed_parts import ScoredPart, joined, scored, unscored
from streaming.scoring.row_pass import BEFORE
from streaming.scoring_time import ScoringTime
from streaming.settings import EventSettings

_SCHEMA = pa.schema([*BEFORE, *RESULTS, (c.VERDICT, VERDICT_STRUCT), (c.BINS, pa.binary()), (c.ARM, pa.int32())])


@dataclass(frozen=True)
class RoutedPass(PickledByFields):
    """Scores records by the models of a table.

    It is small when pickled: tables and programs are files, of which a worker reads those that its events need.

    Attributes:
        table_file: the table.
        limits: what a worker keeps of programs, and how long one may take.
        envelope: how the job's events are read; ``max_value_bytes`` bounds them.
    """

    table_file: Path
    limits: ProgramLimits
    envelope: EventSettings
    max_value_bytes: int

    @property
    def table(self) -> ModelTable:
        """The table, as this process has read it."""
        return read_table(self.table_file)

    @property
    def others(self) -> tuple[ModelVersion, ...]:
        """The versions by their numbers in ``columns.ARM``; 0 is the table itself, for events without a model."""
        return tuple(row.version for row in self.table.rows)

    def score(self, records: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:  # noqa: ARG002
        """Decode, split, guard, score, judge and bin.

        Args:
            records: as :meth:`streaming.models.seams.RowPass.score` takes them.
            at: nothing is looked up for many models.

        Returns:
            n rows in the same order: the source columns, the envelope, the answers, bins, and ``columns.ARM``.
        """
        events = self._decoder.read(records.column("value"))
        rows = decoded_rows(records, events.envelope, self.envelope)
        parts = [self._part(own, number) for number, own in events.by_model()]
        order = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, np.int64)
        columns = joined(parts)
        # Predictions are judged once for all: what makes one invalid does not depend on the model.
        verdicts = spread(columns.pop(c.VERDICT), order)
        made = {name: spread(column, order) for name, column in columns.items()}
        answers = pa.RecordBatch.from_arrays(list(made.values()), list(made))
        made[c.VERDICT] = with_invalid_predictions(verdicts, answers)
        made[c.ARM] = pa.array(events.numbers, pa.int32())
        shared = [name for name in rows.schema.names if name != c.VERDICT]
        return pa.RecordBatch.from_arrays([*rows.select(shared).columns, *made.values()], [*shared, *made])

    def counts(self) -> dict[str, float]:
        """Return nothing: nothing is looked up."""
        return {}

    def times(self) -> Mapping[int, ScoringTime]:
        """Return nothing: nobody compares the models."""
        return {}

    def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:  # noqa: ARG002 - see score
        """Do the same with a frame of records; see :meth:`streaming.models.seams.RowPass.over`."""
        return scored_over(records, self, _SCHEMA)

    def of_decoded(self, events: DataFrame) -> DataFrame:
        """Refuse events that are read already: which model they are for stands in their JSON."""
        raise ScoringError(f"{events} cannot be scored by many models: the field that tells them apart is not read")

    @cached_property
    def _decoder(self) -> RoutedDecoder:
        return RoutedDecoder(self.table, self.envelope, self.max_value_bytes)

    @cached_property
    def _programs(self) -> ResidentPrograms:
        return resident_programs(self.limits.resident_bytes)

    @cached_property
    def _folder(self) -> str:
        return str(self.table_file.parent)

    def _part(self, events: ModelEvents, number: int) -> ScoredPart:
        if number == 0:
            return unscored(events, Rejection(Reason.NO_MODEL.value, self.table.rule.field))
        row = self.table.row(number)
        program = self._program(row.program) if row.is_loaded else None
        if program is None:
            return unscored(events, Rejection(Reason.MODEL_NOT_LOADED.value, self.table.rule.field))
        return scored(events, program, self.limits.model_seconds)

    def _program(self, name: str) -> ModelProgram | None:
        try:
            return self._programs.get(f"{self._folder}/{name}")
        except OSError:
            # The folder is gone, not the model at fault: the batch waits for it, and no event is rejected.
            raise
        except Exception:  # whatever a damaged file makes of unpickling
            return None
