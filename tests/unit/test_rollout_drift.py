"""The rule of the judge's drift check: what holds a rollout is how far the candidate is beyond the champion."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.drift import State
from streaming.rollout.drift import TOLERATED, ColumnDrift, Columns, PairedWindow, judge_drift
from streaming.rollout.judge import HarmFinding

STABLE = ColumnDrift(State.STABLE, 0.01)
FEW = ColumnDrift(State.INSUFFICIENT, 0.0)
SINCE = "2026-06-01T00:00:00.000Z"


def drifting(effect: float, moved: str = "level rose by 1.20 standard deviations", since: str = SINCE) -> ColumnDrift:
    return ColumnDrift(State.DRIFT, effect, moved, since)


def hours(*pairs: tuple[Columns, Columns]) -> list[PairedWindow]:
    """Windows of consecutive hours: the champion's columns and the candidate's."""
    return [
        PairedWindow(f"2026-06-01T{hour:02}:00:00.000Z", champion, candidate)
        for hour, (champion, candidate) in enumerate(pairs)
    ]


CALM = ({"temp": STABLE}, {"temp": STABLE})
ALONE = ({"temp": STABLE}, {"temp": drifting(0.31)})
QUIET = ({"temp": STABLE}, {"temp": drifting(0.02, moved="")})
"""A window without the movement, after which the drift is still open."""


@pytest.mark.parametrize(
    ("windows", "finding", "holds"),
    [
        pytest.param(hours(), HarmFinding.NOT_TOLD, False, id="no window"),
        pytest.param(hours(CALM), HarmFinding.NO_WORSE, False, id="no drift"),
        pytest.param(hours(CALM, ALONE), HarmFinding.NOT_TOLD, True, id="the candidate alone drifts"),
        pytest.param(
            hours(({"temp": drifting(0.3)}, {"temp": drifting(0.31)})), HarmFinding.NO_WORSE, False, id="both drift"
        ),
        pytest.param(
            hours(({"temp": drifting(0.05)}, {"temp": drifting(2.0)})), HarmFinding.NOT_TOLD, True, id="one much more"
        ),
        pytest.param(
            hours(({"temp": drifting(2.0)}, {"temp": STABLE})), HarmFinding.NO_WORSE, False, id="the champion alone"
        ),
        pytest.param(
            hours(({"temp": STABLE}, {"temp": drifting(0.08)})), HarmFinding.NO_WORSE, False, id="a small drift"
        ),
        pytest.param(
            hours(({"temp": STABLE}, {"temp": ColumnDrift(State.WARNING, 0.5, "level rose", SINCE)})),
            HarmFinding.NO_WORSE,
            False,
            id="a warning is no drift yet",
        ),
        pytest.param(
            hours(({"temp": STABLE}, {"temp": ColumnDrift(State.STABLE, 0.5)})),
            HarmFinding.NO_WORSE,
            False,
            id="far away, as the windows of its reference are",
        ),
        pytest.param(hours(CALM, ALONE, QUIET), HarmFinding.NOT_TOLD, True, id="a quiet window leaves it open"),
        pytest.param(hours(ALONE, CALM), HarmFinding.NO_WORSE, False, id="it is over"),
        pytest.param(
            hours(CALM, ALONE, ({"temp": STABLE}, {"temp": FEW})), HarmFinding.NOT_TOLD, True, id="a thin window"
        ),
        pytest.param(hours(({"temp": FEW}, {"temp": drifting(2.0)})), HarmFinding.NOT_TOLD, False, id="few champion's"),
        pytest.param(hours(({}, {"temp": drifting(2.0)})), HarmFinding.NOT_TOLD, False, id="no profile of champion's"),
        pytest.param(hours(({"temp": STABLE}, {})), HarmFinding.NOT_TOLD, False, id="no profile of candidate's"),
        pytest.param(
            hours(({"wind": STABLE}, {"temp": drifting(0.31)})),
            HarmFinding.NOT_TOLD,
            True,
            id="a column that the champion does not read",
        ),
    ],
)
def test_a_candidate_that_drifts_further_than_the_champion_holds_the_rollout(
    windows: Sequence[PairedWindow], finding: HarmFinding, holds: bool
) -> None:
    verdict = judge_drift(windows, TOLERATED)
    assert (verdict.finding, verdict.holds) == (finding, holds), verdict.sentence
    assert verdict.sentence.startswith(f"{finding.value}: ")


def test_the_sentence_names_the_column_furthest_beyond_the_champion_and_the_others() -> None:
    candidate = {"wind": drifting(0.5, "level fell by 0.70 standard deviations"), "temp": drifting(4.0)}
    champion = {"wind": drifting(0.02), "temp": drifting(1.0)}
    verdict = judge_drift(hours(CALM, (champion, candidate)), TOLERATED)
    assert verdict.sentence == (
        "not told: the candidate's events are not those of its training: temp since 2026-06-01T00:00:00.000Z (level"
        " rose by 1.20 standard deviations), a distance of 2.00 where the champion's is 1.00 and 0.3 more is tolerated;"
        " also wind"
    )
    assert verdict.largest is not None
    assert (verdict.largest.champion, verdict.largest.candidate, verdict.windows) == (1.0, 2.0, 2)


columns = st.dictionaries(
    st.sampled_from(["temp", "wind"]),
    st.builds(
        ColumnDrift,
        st.sampled_from(State),
        st.floats(0, 4),
        st.sampled_from(["", "level rose"]),
        st.sampled_from([None, SINCE]),
    ),
)


@given(st.lists(st.tuples(columns, columns), max_size=5), st.floats(0, 4))
def test_the_verdict_is_never_harm_and_what_holds_is_never_called_no_worse(
    pairs: list[tuple[Columns, Columns]], tolerated: float
) -> None:
    verdict = judge_drift(hours(*pairs), tolerated)
    assert verdict.finding is not HarmFinding.HARM
    assert not (verdict.holds and verdict.finding is HarmFinding.NO_WORSE)
    assert judge_drift(hours(*pairs), 4.1).holds is False, "no effect is so large"
    assert judge_drift(hours(*[(each, each) for each, _ in pairs]), tolerated).holds is False, "both are alike"
