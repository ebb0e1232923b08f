"""The last tier: the reference judges what the others could not prove to be valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.events import columns as c
from streaming.formats.json.rows import JsonRowDecoder, Judgement
from streaming.formats.json.tiers.shape import Portion


def judged(reference: JsonRowDecoder, texts: Sequence[bytes | None], rows: NDArray[np.int64]) -> list[Portion]:
    """Return what the reference makes of values at these places of a batch: first the valid, then the rejected."""
    judgements = [reference.judge(text) for text in texts]
    is_valid = np.array([not judgement.problems for judgement in judgements], np.bool_)
    valid: list[dict[str, Any]] = [reference.row(judgement) for judgement in judgements if not judgement.problems]
    rejected = [judgement for judgement in judgements if judgement.problems]
    return [
        Portion(rows[is_valid], pa.RecordBatch.from_pylist(valid, schema=reference.schema)),
        Portion(rows[~is_valid], _rejected(rejected, reference.schema)),
    ]


def _rejected(judgements: Sequence[Judgement], schema: pa.Schema) -> pa.RecordBatch:
    """Return a row for each judgement: its verdict and, where it could be read, the time; all else is null."""
    reasons = pa.array([judgement.problems[0].reason for judgement in judgements], pa.string())
    names = pa.array([judgement.problems[0].field for judgement in judgements], pa.string())
    times = [judgement.envelope.get(c.EVENT_TIME) for judgement in judgements]
    own = {
        c.VERDICT: pa.StructArray.from_arrays([reasons, names], fields=list(schema.field(c.VERDICT).type)),
        c.EVENT_TIME: pa.array(times, schema.field(c.EVENT_TIME).type),
    }
    columns = [own[entry.name] if entry.name in own else pa.nulls(len(judgements), entry.type) for entry in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
