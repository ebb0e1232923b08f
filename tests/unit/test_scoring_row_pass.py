"""What a version's row pass is to the tasks that it is sent to."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from streaming.events import columns as c
from streaming.events.columns import RESULTS
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.signature import Column, Signature
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings

HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


@dataclass(frozen=True)
class Doubling:
    """A scorer that answers with twice the distance."""

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        answers = [pa.nulls(events.num_rows, field.type) for field in RESULTS]
        answers[0] = pa.array([2 * distance for distance in events.column("distance").to_pylist()], pa.float64())
        return pa.record_batch(answers, RESULTS)


def row_pass() -> JsonRowPass:
    signature = Signature((Column("distance", "double", required=True),))
    package = ModelPackage(ModelVersion("tiny", 1, "run"), Path("root"), Path("root"), "0" * 64, signature)
    return JsonRowPass(package, EventSettings(id=None, time=None), 1 << 20, (), Doubling())


def records(*values: bytes | None) -> pa.RecordBatch:
    rows = len(values)
    return pa.record_batch(
        {
            "key": pa.nulls(rows, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(rows, HEADERS),
            "partition": pa.array([0] * rows, pa.int32()),
            "offset": pa.array(range(rows), pa.int64()),
            "timestamp": pa.array([0] * rows, pa.timestamp("us", "UTC")),
        }
    )


def test_a_pass_that_has_scored_can_still_be_sent_to_a_worker() -> None:
    first = row_pass()
    scored = first.score(records(b'{"distance":3}', b"{"))

    second: JsonRowPass = pickle.loads(pickle.dumps(first))

    assert second == first
    assert second.score(records(b'{"distance":3}', b"{")).equals(scored)
    assert scored.column(c.PREDICTION).to_pylist() == [6.0, None]


def test_rows_of_a_version_without_a_profile_have_no_bins() -> None:
    assert row_pass().score(records(b'{"distance":3}')).column(c.BINS).to_pylist() == [None]
