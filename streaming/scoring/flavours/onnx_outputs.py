"""What the outputs of an ONNX graph say of an event, by the customs of the usual converters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.compiled.answers import answer_batch
from streaming.scoring.flavours.classes import values

_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(bool)", "tensor(string)")
_SCORES = ("tensor(float)", "tensor(double)")
_MAPS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")


@dataclass(frozen=True)
class OnnxOutputs:
    """Which output is which; empty where there is none.

    Attributes:
        label: has the class itself.
        scores: has a value, or a number for each class.
        are_probabilities: the scores are.
    """

    label: str
    scores: str
    are_probabilities: bool

    @property
    def names(self) -> list[str]:
        """The outputs that are asked for."""
        return [name for name in (self.label, self.scores) if name]

    def answers(self, outputs: Sequence[Any]) -> pa.RecordBatch:
        """Return the answers of n events, of the outputs in the order of :attr:`names`."""
        if not self.label:
            scores = _rows(outputs[-1])
            return values(scores[:, 0]) if scores.shape[1] == 1 else self._classes(scores.argmax(axis=1), scores)
        labels = np.asarray(outputs[0]).ravel()
        if labels.dtype.kind in "biu":
            return self._classes(labels, _rows(outputs[-1]) if self.scores else None)
        scores = _rows(outputs[-1])
        names = pa.array([str(label) for label in labels], pa.string())
        return self._classes(scores.argmax(axis=1), scores, names)

    def _classes(
        self, prediction: NDArray[Any], scores: NDArray[np.float64] | None, labels: pa.Array | None = None
    ) -> pa.RecordBatch:
        probabilities = scores if self.are_probabilities else None
        return answer_batch(pa.array(prediction.astype(np.float64)), probabilities, labels)


def outputs_for(outputs: Sequence[Any]) -> OnnxOutputs:
    """Find the class and the scores among a graph's outputs.

    Args:
        outputs: the runtime's descriptions of them, with ``name`` and ``type``.

    Raises:
        CandidateRefusedError: ``NO_PREDICTION``; it is not clear which output is the prediction.
    """
    labels = [node for node in outputs if node.type in _LABELS]
    scores = [node for node in outputs if node.type in (*_SCORES, *_MAPS)]
    likely = [node for node in scores if "prob" in node.name.lower()] or scores
    texts = [node for node in labels if node.type == "tensor(string)"]
    if len(labels) > 1 or (not labels and len(scores) != 1) or (texts and len(likely) != 1):
        listed = ", ".join(f"{node.name} ({node.type})" for node in outputs)
        raise CandidateRefusedError(
            RefusalCode.NO_PREDICTION,
            f"it is not clear which of the model's outputs is the prediction: {listed}. Export it with one number, or"
            " with a class and the probabilities",
        )
    chosen = likely[0] if len(likely) == 1 else None
    is_probability = chosen is not None and ("prob" in chosen.name.lower() or chosen.type in _MAPS)
    return OnnxOutputs(labels[0].name if labels else "", chosen.name if chosen else "", is_probability)


def _rows(scores: Any) -> NDArray[np.float64]:
    """Return n rows of k numbers; a list has a map of classes to numbers for each row, in the order of classes."""
    if isinstance(scores, list):
        return np.array([list(row.values()) for row in scores], np.float64)
    array = np.asarray(scores, np.float64)
    return array.reshape(len(array), -1)
