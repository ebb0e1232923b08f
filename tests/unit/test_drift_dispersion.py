"""How alike rows of a window are is learnt where they are, and not where they are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streaming.drift.detection import detect
from streaming.drift.dispersion import FEWEST, NONE, Dispersion, Dispersions, learn
from streaming.models.profile import ColumnProfile
from tests.support.drifts import Ints, categorical, normal_shares, numeric, pair

SHARES = np.array([0.1] * 9 + [0.05, 0.05, 0.0, 0.0])
ROWS = 2_000


def alike(windows: int, r: float, rng: np.random.Generator, shares: Ints | np.ndarray = SHARES) -> Ints:
    """Windows whose shares are Dirichlet draws: rows of one are alike with correlation r in every bin."""
    filled = shares > 0
    drawn = np.zeros((windows, len(shares)))
    drawn[:, filled] = rng.dirichlet(shares[filled] * (1 / r - 1), windows) if r else shares[filled]
    return rng.multinomial(ROWS, drawn)


def profile(windows: Ints, name: str = "x") -> ColumnProfile:
    return numeric([int(count) for count in windows.sum(axis=0)], name, [list(map(int, row)) for row in windows])


def test_of_windows_that_are_chance_alone_next_to_nothing_is_learnt() -> None:
    rng = np.random.default_rng(1)
    result = [learn([profile(alike(30, 0, rng)) for _ in range(5)]) for _ in range(40)]
    learnt = [one.shape.windows > 0 or one.level.windows > 0 for column in result for one in column]
    assert np.mean(learnt) < 0.15
    assert max(one.shape.extra for column in result for one in column) < 0.3 / ROWS


@pytest.mark.parametrize("r", [0.002, 0.02, 0.1])
def test_how_alike_rows_are_is_found(r: float) -> None:
    rng = np.random.default_rng(2)
    columns = [profile(alike(60, r, rng)) for _ in range(12)]
    result = learn(columns)
    assert np.mean([one.shape.extra for one in result]) == pytest.approx(r, rel=0.15)
    assert np.mean([one.level.extra for one in result]) == pytest.approx(r, rel=0.3)
    assert np.mean([one.special[0].extra for one in result]) == pytest.approx(r, rel=0.3)
    assert {one.shape.windows for one in result} == {60}


def test_what_one_column_cannot_say_all_together_can() -> None:
    rng = np.random.default_rng(3)
    columns = [profile(alike(12, 0.4 / ROWS, rng), f"x{position}") for position in range(60)]
    alone = [learn([column])[0].shape.windows > 0 for column in columns]
    assert np.mean(alone) < 0.9
    assert all(one.shape.windows for one in learn(columns))


def test_windows_of_different_sizes_tell_the_same() -> None:
    rng = np.random.default_rng(4)
    sizes, r = rng.integers(500, 8_000, 60), 0.01
    shares = rng.dirichlet(np.full(8, 1 / 8 * (1 / r - 1)), 60)
    rows = [[*map(int, row), 0, 0, 0] for row in rng.multinomial(sizes, shares)]
    result = learn([categorical(list(map(sum, zip(*rows, strict=True))), windows=rows)])[0]
    assert result.shape.extra == pytest.approx(r, rel=0.3)
    assert result.level == NONE


def test_a_special_cell_may_scatter_by_itself() -> None:
    rng = np.random.default_rng(5)
    windows = alike(30, 0, rng, np.array([0.25] * 4 + [0.0, 0.0, 0.0]))
    windows[7, -3] += 40
    result = learn([profile(windows)])[0]
    assert result.special[0].windows == 30
    assert result.special[2] == NONE


@pytest.mark.parametrize("windows", [0, 1, FEWEST - 1])
def test_of_too_few_windows_nothing_is_learnt(windows: int) -> None:
    result = learn([profile(alike(max(windows, 1), 0.2, np.random.default_rng(6)))])[0]
    assert (result.level, result.shape, result.special) == (NONE, NONE, (NONE, NONE, NONE))


@pytest.mark.parametrize(
    "windows", [[[5, 0, 0, 0]] * 20, [[0, 0, 7, 0]] * 20, [[0, 0, 0, 0]] * 20], ids=["one bin", "nulls", "empty"]
)
def test_windows_that_cannot_differ_teach_nothing(windows: list[list[int]]) -> None:
    made = replace(categorical([9, 0, 9, 0]), windows=tuple({0: row[0], 254: row[2]} for row in windows))
    assert learn([made])[0].shape.extra == 0


def test_thresholds_grow_with_how_alike_rows_are() -> None:
    assert NONE.scatter(1_000, 500) == pytest.approx(1 / 1_000 + 1 / 500)
    assert Dispersion(0.01, 20).scatter(1_000, 500) == pytest.approx(1 / 1_000 + 1 / 500 + 0.01 * 1.05)


def test_an_ordinary_busy_hour_is_no_news_where_hours_differ() -> None:
    rng = np.random.default_rng(7)
    known = profile(alike(60, 0.02, rng))
    plain = replace(known, windows=())
    hours = [pair(known, row) for row in alike(40, 0.02, rng)]
    by_windows, by_chance = (
        [detect(hour, learn([one])[0]).p_value < 0.001 for hour in hours] for one in (known, plain)
    )
    assert np.mean(by_windows) < 0.05
    assert np.mean(by_chance) > 0.95


@pytest.mark.parametrize(("spread", "rows"), [(0.02, 20_000), (0.15, 500), (0.15, 5_000)])
def test_windows_whose_level_differs_are_no_news_in_their_shape_either(spread: float, rows: int) -> None:
    """They scatter in one direction of ten, which is the most that a squared distance can scatter."""
    rng = np.random.default_rng(8)

    def hours(number: int) -> Ints:
        return np.array([rng.multinomial(rows, normal_shares(shift=rng.normal(0, spread))) for _ in range(number)])

    p_values = []
    for _ in range(30):
        known = profile(hours(30))
        p_values += [detect(pair(known, row), learn([known])[0]).p_value for row in hours(10)]
    assert np.mean(np.array(p_values) < 0.01) <= 0.02
    assert min(p_values) > 1e-6


def test_where_windows_differ_by_chance_alone_a_certain_movement_stays_certain() -> None:
    one = pair(numeric([2_000] * 10 + [0, 0, 0]), [300, *[700 // 9] * 9, 0, 0, 0])
    chance, little = (
        detect(one, Dispersions(dispersion, dispersion, (dispersion,) * 3)).p_value
        for dispersion in (NONE, Dispersion(1e-9, 30, 9))
    )
    assert little == pytest.approx(chance, rel=0.5)
