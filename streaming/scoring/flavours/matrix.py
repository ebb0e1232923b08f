"""Events as the matrix of numbers that a booster is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Signature
from streaming.refusal_codes import RefusalCode

Doubles = NDArray[np.float64]


def matrix(events: pa.RecordBatch) -> Doubles:
    """Return n events of k columns as n rows of k doubles; null becomes NaN, false and true 0 and 1."""
    doubles = [column.cast(pa.float64(), safe=False) for column in events.columns]
    return np.column_stack([column.to_numpy(zero_copy_only=False) for column in doubles])


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
    if len(names) != len(signature.names):
        raise unfit(f"the signature has {len(signature.names)} columns and the model {len(names)} features")
    # Libraries rename features with odd names, so different names prove nothing.
    if tuple(names) != signature.names and set(names) == set(signature.names):
        raise unfit("the signature has the model's features in another order, and they are matched by position")


def unfit(why: str) -> CandidateRefusedError:
    """Return the refusal of a model that is not what its signature says."""
    return CandidateRefusedError(
        RefusalCode.SIGNATURE_UNSUPPORTED, f"{why}. Log the model with the signature of the data that it was trained on"
    )
