"""The last tier: the reference judges what the others could not prove to be valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.formats.json.rows import JsonRowDecoder
from streaming.formats.json.tiers.shape import Portion


def judged(reference: JsonRowDecoder, texts: Sequence[bytes | None], rows: NDArray[np.int64]) -> list[Portion]:
    """Return what the reference makes of values at these places of a batch: first the valid, then the rejected."""
    judgements = [reference.judge(text) for text in texts]
    is_valid = np.array([not judgement.problems for judgement in judgements], np.bool_)
    valid: list[dict[str, Any]] = [reference.row(judgement) for judgement in judgements if not judgement.problems]
    verdicts = [judgement.problems[0] for judgement in judgements if judgement.problems]
    return [
        Portion(rows[is_valid], pa.RecordBatch.from_pylist(valid, schema=reference.schema)),
        Portion(rows[~is_valid], _rejected(verdicts, reference.schema)),
    ]


def _rejected(verdicts: Sequence[Rejection], schema: pa.Schema) -> pa.RecordBatch:
    """Return a row for each verdict, in which all else is null."""
    reasons, fields = ([getattr(verdict, name) for verdict in verdicts] for name in Rejection._fields)
    verdict = pa.StructArray.from_arrays(
        [pa.array(reasons, pa.string()), pa.array(fields, pa.string())], fields=list(schema.field(c.VERDICT).type)
    )
    columns = [verdict if entry.name == c.VERDICT else pa.nulls(len(verdicts), entry.type) for entry in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
