"""Which answers agree: classes, labels and rejections are right or wrong, and numbers may be apart by a bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streaming.export.agreement import AllowedGap, FormAnswers, agreement

EVENTS = pa.record_batch({"a": [1.0, 2.0]})
NAN, INFINITY = float("nan"), float("inf")
EXACT, SINGLE = AllowedGap(1e-12, 1e-12), AllowedGap(1e-4, INFINITY)


def answers(
    prediction: float, probability: float | None = None, label: str = "", *, rejected: bool = False
) -> FormAnswers:
    """Return an answer to the first event; that to the second is always the same."""
    return FormAnswers(
        rejected=np.array([rejected, False]),
        prediction=np.array([prediction, 7.0]),
        probability=np.zeros((2, 0)) if probability is None else np.array([[probability], [0.5]]),
        label=np.array([label, ""], object),
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "allowed", "agrees"),
    [
        pytest.param(answers(1.0), answers(1.0), EXACT, True, id="equal"),
        pytest.param(answers(1e6 + 1e-7), answers(1e6), EXACT, True, id="near, of the value"),
        pytest.param(answers(1.0 + 1e-11), answers(1.0), EXACT, False, id="not near"),
        pytest.param(answers(1e-16), answers(0.0), EXACT, True, id="next to zero"),
        pytest.param(answers(1e-14), answers(0.0), EXACT, False, id="not next to zero"),
        pytest.param(answers(1.0 + 1e-5), answers(1.0), SINGLE, True, id="near in single precision"),
        pytest.param(answers(NAN), answers(NAN), EXACT, True, id="NaN both"),
        pytest.param(answers(NAN), answers(1.0), EXACT, False, id="NaN here"),
        pytest.param(answers(1.0), answers(NAN), SINGLE, False, id="NaN there"),
        pytest.param(answers(INFINITY), answers(INFINITY), EXACT, True, id="infinite both"),
        pytest.param(answers(INFINITY), answers(1e308), EXACT, False, id="infinite here"),
        pytest.param(answers(INFINITY), answers(-INFINITY), SINGLE, False, id="infinite on other sides"),
        pytest.param(answers(1.0, 0.9), answers(1.0, 0.6), SINGLE, True, id="a class of another probability"),
        pytest.param(answers(1.0, 0.9), answers(1.0, 0.6), EXACT, False, id="a probability that must be near"),
        pytest.param(answers(1.0, NAN), answers(1.0, 0.6), SINGLE, False, id="a probability that is NaN"),
        pytest.param(answers(1.00001, 0.6), answers(1.0, 0.6), SINGLE, False, id="another class"),
        pytest.param(answers(1.0, 0.6, "a"), answers(1.0, 0.6, "b"), SINGLE, False, id="another label"),
        pytest.param(answers(1.0, rejected=True), answers(1.0), SINGLE, False, id="rejected here"),
        pytest.param(answers(1.0), answers(1.0, rejected=True), SINGLE, False, id="rejected there"),
        pytest.param(answers(1.0, rejected=True), answers(2.0, rejected=True), EXACT, True, id="rejected both"),
    ],
)
def test_answers_agree(ours: FormAnswers, theirs: FormAnswers, allowed: AllowedGap, agrees: bool) -> None:
    result = agreement(EVENTS, ours, theirs, allowed)
    assert (result.events, result.mismatches) == (2, 0 if agrees else 1)
    assert result.example == ("" if agrees else "{'a': 1.0}")
    assert result.mismatch_share == (0.0 if agrees else 0.5)


@pytest.mark.parametrize(
    ("ours", "theirs", "largest"),
    [
        pytest.param(answers(1.0, 0.9), answers(1.0, 0.6), 0.3, id="absolute below 1"),
        pytest.param(answers(1010.0), answers(1000.0), 0.01, id="relative above 1"),
        pytest.param(answers(INFINITY), answers(1.0), 0.0, id="of finite numbers alone"),
        pytest.param(
            replace(answers(9.0), rejected=np.array([True, False])), answers(1.0), 0.0, id="not of rejections"
        ),
    ],
)
def test_the_largest_difference_is_told(ours: FormAnswers, theirs: FormAnswers, largest: float) -> None:
    result: Any = agreement(EVENTS, ours, theirs, SINGLE)
    assert result.largest == pytest.approx(largest)
