"""Arms grow and shrink by handing points over: no key moves that need not."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.intervals import ALL_CHAMPION, CHAMPION, POINTS, ArmIntervals

Shares = dict[str, float]
MOST_ARMS = 6


@st.composite
def steps(draw: st.DrawFn) -> list[Shares]:
    """Steps of any number of arms, whose shares are whole 64ths or as odd as a third."""
    result = []
    for _ in range(draw(st.integers(1, 5))):
        arms = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=MOST_ARMS))
        parts = [draw(st.integers(0, 64)) for _ in arms]
        total = max(sum(parts), draw(st.sampled_from([64, 3 * 64, 7 * 64])))
        result.append({arm: part / total for arm, part in zip(arms, parts, strict=True)})
    return result


def after(declared: list[Shares]) -> list[ArmIntervals]:
    result = [ALL_CHAMPION]
    for shares in declared:
        result.append(result[-1].changed_to(shares))
    return result


def moves(before: ArmIntervals, now: ArmIntervals) -> dict[tuple[str, str], int]:
    """How many points went from an arm to another."""
    ends = sorted({*before.ends, *now.ends})
    result: dict[tuple[str, str], int] = {}
    for start, end in zip([0, *ends], ends, strict=False):
        pair = before.arm_at(start), now.arm_at(start)
        if pair[0] != pair[1]:
            result[pair] = result.get(pair, 0) + end - start
    return result


@given(declared=steps())
def test_an_arm_has_the_points_of_its_share_and_the_champion_the_rest(declared: list[Shares]) -> None:
    now = after(declared)[-1]
    shares = declared[-1]
    sizes = {arm: int(Fraction(share) * POINTS) for arm, share in shares.items()}
    assert {arm: now.points(arm) for arm in "abcdef"} == {arm: sizes.get(arm, 0) for arm in "abcdef"}
    assert now.points(CHAMPION) == POINTS - sum(sizes.values())


@given(declared=steps())
def test_no_more_points_move_than_shares_change(declared: list[Shares]) -> None:
    for before, now in zip(after(declared), after(declared)[1:], strict=False):
        moved = moves(before, now)
        for arm in {*before.arms, *now.arms} - {CHAMPION}:
            gained = sum(count for (_, taker), count in moved.items() if taker == arm)
            lost = sum(count for (giver, _), count in moved.items() if giver == arm)
            change = now.points(arm) - before.points(arm)
            assert (gained, lost) == (max(change, 0), max(-change, 0))


@given(declared=steps())
def test_while_no_arm_shrinks_all_that_moves_leaves_the_champion(declared: list[Shares]) -> None:
    for before, now in zip(after(declared), after(declared)[1:], strict=False):
        if all(now.points(arm) >= before.points(arm) for arm in before.arms if arm != CHAMPION):
            assert {giver for giver, _ in moves(before, now)} <= {CHAMPION}


@given(declared=steps(), random=st.randoms(use_true_random=False))
def test_the_order_in_which_arms_are_named_does_not_matter(declared: list[Shares], random: Random) -> None:
    shuffled = []
    for shares in declared:
        names = list(shares)
        random.shuffle(names)
        shuffled.append({name: shares[name] for name in names})
    assert after(shuffled) == after(declared)


@given(declared=steps())
def test_naming_the_same_shares_again_changes_nothing(declared: list[Shares]) -> None:
    now = after(declared)[-1]
    assert now.changed_to(declared[-1]) == now


@given(declared=steps())
def test_an_end_of_the_rollout_gives_the_champion_everything(declared: list[Shares]) -> None:
    assert after(declared)[-1].changed_to({}) == ALL_CHAMPION


def test_one_candidates_intervals_grow_from_zero() -> None:
    five = ALL_CHAMPION.changed_to({"candidate": 0.05})
    assert five == ArmIntervals(("candidate", CHAMPION), (214748364, POINTS))
    assert five.changed_to({"candidate": 0.25}) == ArmIntervals(("candidate", CHAMPION), (2**30, POINTS))
    assert five.changed_to({"candidate": 1.0}) == ArmIntervals(("candidate",), (POINTS,))


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        pytest.param({"a": 1.01}, "from 0 to 1", id="above all"),
        pytest.param({"a": -0.01}, "from 0 to 1", id="below nothing"),
        pytest.param({"a": float("nan")}, "from 0 to 1", id="not a number"),
        pytest.param({"a": 0.6, "b": 0.41}, "at most 1 together", id="above all together"),
        pytest.param({CHAMPION: 0.5}, "what the others leave", id="the champion's"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares: Shares, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ALL_CHAMPION.changed_to(shares)


@pytest.mark.parametrize(
    ("arms", "ends"),
    [
        pytest.param((), (), id="none"),
        pytest.param(("a",), (POINTS - 1,), id="not up to the end"),
        pytest.param(("a", "b"), (POINTS,), id="more arms than ends"),
        pytest.param(("a", "b", "c"), (7, 7, POINTS), id="an empty one"),
        pytest.param(("a", "b", "c"), (9, 7, POINTS), id="descending"),
        pytest.param(("a", "b"), (0, POINTS), id="nothing at first"),
    ],
)
def test_intervals_that_leave_a_point_without_an_arm_are_refused(arms: tuple[str, ...], ends: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="an end for each arm"):
        ArmIntervals(arms, ends)
