"""What two forms of a version answer to the same events, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa

from streaming.events import columns as c
from streaming.export.form import OnnxForm
from streaming.models.arrow_types import vector_size
from streaming.models.seams import ArrowScorer
from streaming.scoring.compiled.values import Floats, Mask
from streaming.scoring.throwing import thrown_on

Feeds = dict[str, npt.NDArray[Any]]
"""A tensor (n) for each column of the events, (n, length) for one of lists."""


@dataclass(frozen=True)
class FormAnswers:
    """What a form answers to n events; of a rejected one, nothing else means anything."""

    rejected: Mask
    """The pipeline throws on these events, and a stream writes dead letters for them."""
    prediction: Floats
    """(n,): NaN for null."""
    probability: Floats
    """(n, classes): of no classes where the model gives none."""
    label: npt.NDArray[np.object_]
    """(n,): empty texts where the model gives none."""


def compiled_answers(scorer: ArrowScorer, events: pa.RecordBatch) -> FormAnswers:
    """Return what a version's compiled form answers."""
    rejected = thrown_on(scorer, events)
    answers = scorer.score(events.filter(pa.array(~rejected)))
    lists = answers.column(c.PROBABILITY)
    classes = len(lists[0]) if len(lists) and lists[0].is_valid else 0
    probability = lists.flatten().to_numpy(zero_copy_only=False).reshape(answers.num_rows, classes)
    label = answers.column(c.LABEL).fill_null("").to_numpy(zero_copy_only=False)
    prediction = answers.column(c.PREDICTION).to_numpy(zero_copy_only=False)
    return FormAnswers(
        rejected,
        _spread(prediction, rejected, np.nan),
        _spread(probability, rejected, 0.0),
        _spread(label, rejected, ""),
    )


def _spread(values: npt.NDArray[Any], rejected: Mask, instead: object) -> Any:
    """Return values with one more for each rejected event between them."""
    full = np.full((len(rejected), *values.shape[1:]), instead, values.dtype)
    full[~rejected] = values
    return full


def feeds(events: pa.RecordBatch, missing_text: str) -> Feeds:
    """Return events as an ONNX model's inputs: text as it is, and numbers as doubles with NaN for null."""
    return {
        field.name: _list_tensor(events.column(field.name), field)
        if pa.types.is_list(field.type)
        else _tensor(events.column(field.name), missing_text)
        for field in events.schema
    }


def _list_tensor(column: pa.ListArray, field: pa.Field) -> npt.NDArray[np.float64]:
    rows = np.full((len(column), vector_size(field) or 0), np.nan)
    rows[column.is_valid().to_numpy(zero_copy_only=False)] = column.flatten().to_numpy().reshape(-1, rows.shape[1])
    return rows


def _tensor(column: pa.Array, missing_text: str) -> npt.NDArray[Any]:
    if pa.types.is_string(column.type):
        return np.asarray(column.fill_null(missing_text).to_numpy(zero_copy_only=False), object)
    is_null = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    return np.where(is_null, np.nan, filled.to_numpy(zero_copy_only=False).astype(np.float64))


class OnnxSession:
    """An ONNX form that is loaded by ONNX Runtime, on one thread."""

    def __init__(self, form: OnnxForm) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._form = form
        self._session = onnxruntime.InferenceSession(
            form.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, tensors: Feeds) -> Mapping[str, npt.NDArray[Any]]:
        """Return the outputs by what they answer."""
        values = self._session.run(list(self._form.outputs.values()), tensors)
        return dict(zip(self._form.outputs, values, strict=True))

    def answers(self, events: pa.RecordBatch) -> FormAnswers:
        """Return what the form answers to n events."""
        outputs = self.run(feeds(events, self._form.missing_text))
        rows = events.num_rows
        return FormAnswers(
            rejected=outputs["rejected"],
            prediction=outputs["prediction"],
            probability=outputs.get("probability", np.zeros((rows, 0))),
            label=outputs.get("label", np.full(rows, "", object)),
        )


@dataclass(frozen=True)
class AllowedGap:
    """How far numbers of the same answer may be apart, of their value; next to 0 a thousandth of it, absolute."""

    number: float
    """For a prediction that is no class."""
    probability: float


@dataclass(frozen=True)
class Agreement:
    """How far answers to ``events`` events agree with the expected ones.

    Attributes:
        events: how many were compared.
        rejected: how many of them the expected answers reject.
        mismatches: on how many the class, the label, the rejection, or a number beyond what is allowed differ.
        largest: the largest difference of two numbers, relative where the expected one is above 1.
        example: the first event on which they differ.
    """

    events: int
    rejected: int
    mismatches: int
    largest: float
    example: str = ""

    @property
    def mismatch_share(self) -> float:
        """Mismatches by events; 0 of none."""
        return self.mismatches / max(self.events, 1)

    def __str__(self) -> str:
        """Say what differs, after "its answers differ"."""
        return f"from the compiled form's on {self.mismatches} of {self.events} events, such as {self.example}"


def agreement(events: pa.RecordBatch, answers: FormAnswers, expected: FormAnswers, allowed: AllowedGap) -> Agreement:
    """Compare the answers to n events with the expected ones."""
    both = ~(answers.rejected | expected.rejected)
    ours, theirs = _numbers(answers), _numbers(expected)
    with np.errstate(invalid="ignore"):
        gaps = np.where((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)), 0.0, np.abs(ours - theirs))
        # A class is right or wrong.
        prediction = 0.0 if expected.probability.shape[1] else allowed.number
        limits = np.array([prediction] + [allowed.probability] * expected.probability.shape[1])
        bounds = np.maximum(limits * np.maximum(np.abs(ours), np.abs(theirs)), limits / 1_000)
        relative = gaps[both] / np.maximum(np.abs(theirs[both]), 1.0)
        near = (gaps == 0.0) | (np.isfinite(gaps) & (gaps <= bounds))
    differs = (answers.rejected != expected.rejected) | (both & ~near.all(axis=1))
    differs |= both & (answers.label != expected.label)
    return Agreement(
        events=len(both),
        rejected=int(expected.rejected.sum()),
        mismatches=int(differs.sum()),
        largest=float(relative[np.isfinite(relative)].max(initial=0.0)),
        example=str(events.slice(int(np.argmax(differs)), 1).to_pylist()[0]) if differs.any() else "",
    )


def _numbers(answers: FormAnswers) -> Floats:
    return np.column_stack([answers.prediction, answers.probability])
