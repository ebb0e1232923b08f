"""What a flavor of MLflow has to say for its versions to be scored by their own library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from streaming.models.signature import Signature


@dataclass(frozen=True)
class SavedModel:
    """A model's file, as it travels to the processes that score.

    Attributes:
        flavor: the flavor of MLflow, which says how ``content`` is read.
        kind: what the flavor's section says that the file holds; one of a list of ours.
        signature: the columns that the model is given, in their order.
        digest: of the version's files; two with the same digest are the same model.
        content: the file's bytes; of a model that is code, those of the version's whole folder.
        seconds: the longest that a model that is code may take for a batch.
    """

    flavor: str
    kind: str
    signature: Signature
    digest: str
    content: bytes = field(repr=False, compare=False)
    seconds: float = 0.0


class NativeModel(Protocol):
    """A model in this process, made by its library of a :class:`SavedModel`."""

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Return a row of :data:`streaming.events.columns.RESULTS` for each event, as the library's own predict.

        Args:
            events: the signature's columns; null where an optional one is missing.
        """
        ...


@dataclass(frozen=True)
class ModelFile:
    """Which file of a version holds the model, by its name in the version's folder, and of what kind it is."""

    name: object
    kind: str


@dataclass(frozen=True)
class Flavour:
    """How versions of one flavor are read.

    Attributes:
        library: the Python package that evaluates them, which has a ``__version__``.
        file: finds the model's file in the flavor's section of MLmodel. Raises ``CandidateRefusedError`` for a file
            that runs code when it is read.
        read: makes the model of its bytes, running none of its code. Raises ``CandidateRefusedError`` for a model that
            does not fit its signature, and whatever the library raises for a damaged file.
    """

    library: str
    file: Callable[[Mapping[str, object]], ModelFile]
    read: Callable[[SavedModel], NativeModel]
