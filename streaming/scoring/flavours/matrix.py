"""Events as the matrix of numbers that a booster is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import CandidateRefusedError
from streaming.models.arrow_types import list_rows
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode

Doubles = NDArray[np.float64]


def matrix(events: pa.RecordBatch) -> Doubles:
    """Return n events as n rows of k doubles, of which a list has one for each of its numbers.

    Null becomes NaN, false and true 0 and 1.

    Raises:
        ValueError: a list is null, or lists of a column are not equally long.
    """
    return np.column_stack([_doubles(column) for column in events.columns])


def _doubles(column: pa.Array) -> Doubles:
    if pa.types.is_list(column.type):
        return list_rows(column).astype(np.float64)
    doubles: Doubles = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return doubles


def check_numbers(signature: Signature, names: Sequence[str]) -> None:
    """Check that columns are numbers, and a model's features; see :func:`check_names`.

    Raises:
        CandidateRefusedError: ``SIGNATURE_UNSUPPORTED``; a column is text, or they are not the model's features.
    """
    texts = [column.name for column in signature.columns if column.type == "string"]
    if texts:
        raise unfit(
            f"the columns {', '.join(texts)} are text, and the model takes numbers; encode them in the producer"
        )
    check_names(signature, names)


def check_names(signature: Signature, names: Sequence[str]) -> None:
    """Compare what a model was trained on with the columns that it is given.

    Args:
        signature: the columns.
        names: the model's own names of its features, in its order; made up by the library where it had none.

    Raises:
        CandidateRefusedError: ``SIGNATURE_UNSUPPORTED``; there are more or fewer, or they are in another order.
    """
    count = width_of(signature)
    if len(names) != count:
        raise unfit(f"the signature has {count} columns and the model {len(names)} features")
    if any(column.is_list for column in signature.columns):
        return  # its numbers have no names
    # Libraries rename features with odd names, so different names prove nothing.
    if tuple(names) != signature.names and set(names) == set(signature.names):
        raise unfit("the signature has the model's features in another order, and they are matched by position")


def width_of(signature: Signature) -> int:
    """Return how many numbers an event's features are."""
    return sum(column.length or 1 for column in signature.columns)


def unfit(why: str) -> CandidateRefusedError:
    """Return the refusal of a model that is not what its signature says."""
    return CandidateRefusedError(
        RefusalCode.SIGNATURE_UNSUPPORTED, f"{why}. Log the model with the signature of the data that it was trained on"
    )
