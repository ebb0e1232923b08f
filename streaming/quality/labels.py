"""Which label each prediction has: of all records about its event, the one that became known last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.quality.tables import LABELS, TIME, id_identities, time_identities
from streaming.statistics.arrays import Ints


@dataclass(frozen=True)
class LabelledPredictions:
    """Predictions with what the labels' topic says of each; arrays are as long as the table.

    ``truth`` is the label's text, null without one. ``age`` is how many milliseconds after its event the first label
    became known, -1 where there is none now. The others count the records about a prediction; ``withdrawn`` is 1 where
    the last one took the label back.
    """

    predictions: pa.Table
    truth: pa.Array
    age: Ints
    records: Ints
    repeated: Ints
    corrected: Ints
    withdrawn: Ints
    late: Ints

    def only(self, chosen: npt.NDArray[np.bool_]) -> LabelledPredictions:
        """Return these predictions alone."""
        if chosen.all():
            return self
        mask = pa.array(chosen)
        return LabelledPredictions(
            predictions=self.predictions.filter(mask),
            truth=self.truth.filter(mask),
            age=self.age[chosen],
            records=self.records[chosen],
            repeated=self.repeated[chosen],
            corrected=self.corrected[chosen],
            withdrawn=self.withdrawn[chosen],
            late=self.late[chosen],
        )


def attach(predictions: pa.Table, labels: Iterable[pa.Table], before: datetime | Ints) -> LabelledPredictions:
    """Give each prediction its label.

    Args:
        predictions: of :data:`streaming.quality.tables.PREDICTIONS`, each once.
        labels: of :data:`streaming.quality.tables.LABELS`; only those of these predictions are kept.
        before: labels that became known then or later are counted as late and not used; one time, or one for each
            prediction in milliseconds since 1970.
    """
    rows = predictions.num_rows
    matched = _matched(predictions, labels)
    is_late = _is_late(matched, before)
    late = _numbers(matched.filter(is_late)["row"])
    in_time = matched.filter(pc.invert(is_late)).sort_by(
        [("row", "ascending"), ("known", "ascending"), ("offset", "ascending")]
    )
    row, text = _numbers(in_time["row"]), _codes(in_time["label"])
    follows = np.concatenate([[False], row[1:] == row[:-1]])[: len(row)]
    same = np.concatenate([[False], text[1:] == text[:-1]])[: len(row)]
    # In order of time, so the last record of each row is the one that counts.
    last = np.flatnonzero(np.concatenate([row[1:] != row[:-1], [True]])[: len(row)])
    newest = np.full(rows, -1)
    newest[row[last]] = last
    truth = in_time["label"].combine_chunks().take(pa.array(newest, mask=newest < 0))
    return LabelledPredictions(
        predictions=predictions,
        truth=truth,
        age=np.where(truth.is_valid().to_numpy(zero_copy_only=False), _ages(predictions, in_time), -1),
        records=np.bincount(row, minlength=rows),
        repeated=np.bincount(row[follows & same], minlength=rows),
        corrected=np.bincount(row[follows & ~same], minlength=rows),
        withdrawn=np.bincount(row[last][text[last] < 0], minlength=rows),
        late=np.bincount(late, minlength=rows),
    )


def _is_late(matched: pa.Table, before: datetime | Ints) -> pa.ChunkedArray | pa.Array:
    """Return which label records became known too late for their prediction."""
    if isinstance(before, datetime):
        return pc.greater_equal(matched["known"], pa.scalar(before, TIME))
    return pa.array(_numbers(matched["known"]) >= before[_numbers(matched["row"])])


def _matched(predictions: pa.Table, labels: Iterable[pa.Table]) -> pa.Table:
    """Return the label records of these predictions, a row for each pair of both."""
    kinds = id_identities(predictions), time_identities(predictions)
    numbers = pa.array(range(predictions.num_rows), pa.int64())
    indexes = [pa.table({"identity": kind, "row": numbers}) for kind in kinds]
    names = ["row", "label", "known", "offset"]

    def joined() -> Iterator[pa.Table]:
        # A join reads the whole index, so blocks are joined when they are as large together.
        for block in _larger(labels, predictions.num_rows):
            for index in indexes:
                yield block.join(index, "identity", join_type="inner").select(names)

    nothing = LABELS.empty_table().append_column("row", pa.array([], pa.int64())).select(names)
    # A window without predictions needs no labels.
    if not predictions.num_rows:
        return nothing
    return pa.concat_tables([nothing, *joined()])


def _larger(blocks: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in blocks of at least so many, but for the last."""
    waiting: list[pa.Table] = []
    for block in blocks:
        waiting.append(block)
        if sum(each.num_rows for each in waiting) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _ages(predictions: pa.Table, in_time: pa.Table) -> Ints:
    """Return the age of each prediction's first label, withdrawals left out."""
    ages = np.full(predictions.num_rows, -1, np.int64)
    labels = in_time.filter(pc.is_valid(in_time["label"]))
    row, first = np.unique(_numbers(labels["row"]), return_index=True)
    happened = _numbers(predictions["event_time"])
    # A label may be known before its event, as a test's labels are; such a one has no age below zero.
    ages[row] = np.maximum(_numbers(labels["known"])[first] - happened[row], 0)
    return ages


def _codes(texts: pa.ChunkedArray) -> Ints:
    """Return a number for each text, -1 where it is null."""
    codes = texts.combine_chunks().dictionary_encode().indices.fill_null(-1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)
