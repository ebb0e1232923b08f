"""A text column's values: new ones are seen beside rare ones, and a long tail that was always there is no news."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.drift.decision import ColumnVerdict, DetectionRules, WindowCounts, WindowJudge
from streaming.models.profile import OTHER_BIN, RARE_BIN, ColumnProfile, Counts, ReferenceProfile
from streaming.training.vocabulary import FREQUENT, RARE, Value, Vocabulary, returning

Texts = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], Texts]
ROWS, WINDOWS = 1_000, 40


def zipf(values: int, power: float = 1.2) -> Draw:
    shares = 1 / np.arange(1, values + 1) ** power
    return lambda rng, rows: rng.choice(values, rows, p=shares / shares.sum())


def always_new(rng: np.random.Generator, rows: int) -> Texts:
    return rng.integers(0, 10**12, rows)


def one_new_in_fifty(rng: np.random.Generator, rows: int) -> Texts:
    """Such as a session's id that is now and then in the column of a campaign."""
    return np.where(rng.random(rows) < 0.001, always_new(rng, rows), zipf(60, 0.5)(rng, rows))


def a_batch_each_window(rng: np.random.Generator, rows: int) -> Texts:
    """A tenth of each window has a value that no other window has."""
    return np.where(rng.random(rows) < 0.1, rng.integers(10**6, 10**12), zipf(60, 0.5)(rng, rows))


def bins(vocabulary: Vocabulary, rare: tuple[str, ...], texts: Texts) -> Counts:
    places = {text: position for position, text in enumerate(vocabulary.frequent)} | dict.fromkeys(rare, RARE_BIN)
    return dict(Counter(places.get(str(text), OTHER_BIN) for text in texts))


class Column:
    """A reference of windows that are drawn alike, and windows judged by it."""

    def __init__(self, draw: Draw, seed: int, windows: int = WINDOWS, rows: int = ROWS) -> None:
        self.rng, self._draw, self._rows = np.random.default_rng(seed), draw, rows
        drawn = [draw(self.rng, rows) for _ in range(windows)]
        every = Counter(str(text) for window in drawn for text in window)
        self.vocabulary = Vocabulary.of(list(every.items()))
        where = [{str(text) for text in window} for window in drawn]
        seen = {
            text: [position for position, texts in enumerate(where) if text in texts] for text in self.vocabulary.rare
        }
        rare = [Value(text, every[text], places[0], places[-1]) for text, places in seen.items()]
        kept = [bins(self.vocabulary, returning(rare, windows), window) for window in drawn]
        total = Counter[int]()
        for window in kept:
            total.update(window)
        names, listed = self.vocabulary.frequent, self.vocabulary.rare
        column = ColumnProfile("x", "categorical", dict(total), (), names, windows=tuple(kept), rare=listed)
        self._judge = WindowJudge(ReferenceProfile((column,), windows * rows, 60.0), DetectionRules())

    def window(self, changed: Callable[[Texts], Texts] = lambda texts: texts) -> ColumnVerdict:
        counts = bins(self.vocabulary, self.vocabulary.rare, changed(self._draw(self.rng, self._rows)))
        return self._judge.judge(WindowCounts(0, 60, self._rows, 0, (counts,)))[0]


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(zipf(40), id="forty values"),
        pytest.param(zipf(200), id="two hundred"),
        pytest.param(zipf(900), id="nine hundred, some once"),
        pytest.param(zipf(5_000), id="too many to list"),
        pytest.param(one_new_in_fifty, id="new ones now and then"),
        pytest.param(a_batch_each_window, id="a value of its own in each window"),
        pytest.param(always_new, id="every row new"),
    ],
)
def test_a_column_that_is_as_it_always_was_does_not_signal(draw: Draw) -> None:
    signals = [column.window().signal for column in (Column(draw, seed) for seed in range(3)) for _ in range(10)]
    assert sum(signals) <= 1


@pytest.mark.parametrize("windows", [WINDOWS, 4], ids=lambda windows: f"{windows} windows")
@pytest.mark.parametrize("draw", [zipf(60), zipf(200), zipf(900)], ids=["sixty", "two hundred", "nine hundred"])
def test_a_new_value_of_one_row_in_a_hundred_is_seen_beside_rare_ones(draw: Draw, windows: int) -> None:
    column = Column(draw, 5, windows, rows=5_000)
    result = [column.window(lambda texts: np.where(np.arange(len(texts)) % 100 == 7, -1, texts)) for _ in range(10)]
    assert [one.detection.finding.test for one in result if one.signal] == ["unseen"] * 10


def test_the_frequent_have_bins_and_the_rare_are_listed_in_the_order_of_their_text() -> None:
    values = [(f"v{position:04}", 10_000 - position) for position in range(FREQUENT + 3)]
    made = Vocabulary.of(values[::-1])
    assert made.frequent == tuple(text for text, _ in values[:FREQUENT])
    assert made.rare == ("v0050", "v0051", "v0052")


@pytest.mark.parametrize(
    ("number", "listed"), [(0, 0), (FREQUENT, 0), (FREQUENT + RARE, RARE), (FREQUENT + RARE + 1, 0)]
)
def test_rare_values_are_listed_if_all_of_them_can_be(number: int, listed: int) -> None:
    made = Vocabulary.of([(str(position), 1) for position in range(number)])
    assert (len(made.frequent), len(made.rare)) == (min(number, FREQUENT), listed)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [(8, ("two windows",)), (7, ("two windows", "two rows")), (0, ("two windows", "two rows"))],
    ids=["windows", "few windows", "no windows"],
)
def test_a_value_that_came_once_was_new(windows: int, expected: tuple[str, ...]) -> None:
    rare = [Value("two windows", 2, 3, 4), Value("two rows", 2, 3, 3), Value("one row", 1, 3, 3)]
    assert returning(rare, windows) == expected
