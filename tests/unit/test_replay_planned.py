"""A run of the ledger's plans as a stretch of the input."""

from __future__ import annotations

import pytest

from streaming.errors import ConfigurationError
from streaming.offsets import OffsetRange
from streaming.replay.planned import planned
from tests.support.histories import played

FOUR = [move for size in (6, 4, 3, 2) for move in (("plan", size), ("finish", 1))]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param("1.1", "1.4", (5, 20), id="all"),
        pytest.param("1.2", "1.3", (11, 18), id="some"),
        pytest.param("1.3", "1.3", (15, 18), id="one"),
    ],
)
def test_plans_from_one_to_another_cover(first: str, last: str, expected: tuple[int, int]) -> None:
    assert planned(played(FOUR).log, ("features", "id"), first, last) == {0: OffsetRange(*expected)}


@pytest.mark.parametrize(
    ("source", "first", "last", "message"),
    [
        pytest.param("id", "9.1", "1.2", "no plan 9.1 of features; penstock ledger show", id="unknown first"),
        pytest.param("id", "1.2", "9.1", "no plan 9.1 of features after 1.2", id="unknown last"),
        pytest.param("id", "1.3", "1.2", "no plan 1.2 of features after 1.3", id="backwards"),
        pytest.param("old", "1.1", "1.2", "no plan 1.1 of features", id="another topic"),
    ],
)
def test_plans_that_are_not_there_are_refused(source: str, first: str, last: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        planned(played(FOUR).log, ("features", source), first, last)
