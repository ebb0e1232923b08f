"""Every statistic of a column with the value that chance alone would exceed, as the records that are published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.drift import ColumnSummary, State, Statistic, StatisticRecord, SummaryRecord, Window
from streaming.clock import isoformat, moment
from streaming.drift.decision import ColumnVerdict, WindowCounts
from streaming.drift.detection import level_shift
from streaming.drift.dispersion import NONE, Dispersion
from streaming.drift.movement import movement_of
from streaming.drift.pair import SPECIAL, Pair
from streaming.drift.shifts import mean_shift, value_distance
from streaming.drift.states import worst
from streaming.drift.words import cause
from streaming.statistics import distances, tails
from streaming.statistics.shares import inverse_size

UPPER = 0.9
"""The quantile of ``upper_shift``: tails move before the middle does."""


class Measure(NamedTuple):
    """A statistic's value, its threshold at the chosen chance and its p-value; None where one is not defined."""

    statistic: Statistic
    value: float | None
    threshold: float | None = None
    p_value: float | None = None


def measures(verdict: ColumnVerdict, chance: float) -> Iterator[Measure]:
    """Yield the statistics of a column that has rows on both sides, its share of false alarms being ``chance``."""
    pair, dispersions = verdict.pair, verdict.dispersions
    if pair is None:
        yield Measure(Statistic.INVALID_RATE, verdict.share, verdict.bound, verdict.detection.p_value)
    if pair is None or not pair.n or not pair.m:
        return
    shape, level = (dispersions.shape, dispersions.level) if dispersions else (NONE, NONE)
    yield from _shapes(pair, shape, chance)
    if pair.ordered and all(map(sum, pair.values)):
        yield from _ordered(pair, shape, level, chance)
    yield from _rates(pair, dispersions.special if dispersions else (NONE, NONE, NONE), chance)


def _shapes(pair: Pair, dispersion: Dispersion, chance: float) -> Iterator[Measure]:
    sides, scatter = (pair.reference, pair.window), dispersion.scatter(pair.n, pair.m)
    value, bins = distances.chi_square(*sides)
    stretch = scatter / NONE.scatter(pair.n, pair.m)
    if dispersion.windows and bins:
        # Near detection's law, in which the learnt scatter lies in one direction, and with a plain inverse.
        learnt = dispersion.learnt(pair.n, pair.m)
        degrees = 1 + (bins - 1) * (1 - learnt)
        relative = value / stretch / bins
        p_value = tails.chi_square(relative * degrees, degrees)
        limit = tails.chi_square_critical(chance, degrees) / degrees * bins * stretch
    else:
        p_value = tails.chi_square(value, bins) if bins else 1.0
        limit = tails.chi_square_critical(chance, bins) if bins else 0.0
    # To first order each of these is the chi-square statistic times a constant (Taylor at equal shares).
    index = limit * inverse_size(pair.n, pair.m)
    yield Measure(Statistic.CHI_SQUARE, value, limit, p_value)
    yield Measure(Statistic.PSI, distances.stability_index(*sides), index, p_value)
    bits = index / (8 * math.log(2))
    yield Measure(Statistic.JENSEN_SHANNON, distances.jensen_shannon(*sides), math.sqrt(bits), p_value)
    yield Measure(Statistic.HELLINGER, distances.hellinger(*sides), math.sqrt(index / 8), p_value)


def _ordered(pair: Pair, shape: Dispersion, level: Dispersion, chance: float) -> Iterator[Measure]:
    n, m = map(sum, pair.values)
    size, scatter = 1 / shape.scatter(n, m), level.scatter(n, m)
    distance = distances.kolmogorov_smirnov(*pair.values)
    limit = tails.kolmogorov_critical(chance, size)
    yield Measure(Statistic.KOLMOGOROV_SMIRNOV, distance, limit, tails.kolmogorov(distance, size))
    yield Measure(Statistic.WASSERSTEIN, value_distance(pair))
    # The same limit for both shifts: each is a mean in standard deviations of the reference.
    z_limit = _limit(chance, level) * math.sqrt(scatter)
    shift, mean = level_shift(pair), mean_shift(pair)
    yield Measure(Statistic.LEVEL_SHIFT, shift, z_limit, _two_sided(shift / math.sqrt(scatter), level))
    p_value = None if mean is None else _two_sided(mean / math.sqrt(scatter), level)
    yield Measure(Statistic.MEAN_SHIFT, mean, None if mean is None else z_limit, p_value)
    yield Measure(Statistic.MEDIAN_SHIFT, *_quantile(pair, 0.5, level, chance))
    yield Measure(Statistic.UPPER_SHIFT, *_quantile(pair, UPPER, level, chance))


def _quantile(
    pair: Pair, share: float, dispersion: Dispersion, chance: float
) -> tuple[float | None, float, float | None]:
    n, m = map(sum, pair.values)
    deviation = math.sqrt(share * (1 - share) * dispersion.scatter(n, m))
    value = distances.quantile_shift(*pair.values, share)
    p_value = None if value is None else _two_sided(value / deviation, dispersion)
    return value, _limit(chance, dispersion) * deviation, p_value


def _rates(pair: Pair, dispersions: Sequence[Dispersion], chance: float) -> Iterator[Measure]:
    names = (Statistic.NULL_RATE, Statistic.NON_FINITE_RATE, Statistic.UNSEEN_RATE)
    for statistic, cell, dispersion in zip(names, range(-SPECIAL, 0), dispersions, strict=True):
        before, now = pair.reference[cell], pair.window[cell]
        both = (before + now) / (pair.n + pair.m)
        deviation = math.sqrt(both * (1 - both) * dispersion.scatter(pair.n, pair.m))
        difference = now / pair.m - before / pair.n
        p_value = _two_sided(difference / deviation, dispersion) if deviation else 1.0
        limit = before / pair.n + _limit(chance, dispersion) * deviation
        yield Measure(statistic, now / pair.m, limit, p_value)


def _two_sided(z: float, dispersion: Dispersion) -> float:
    """Return the normal's tail, or Student's where the scatter was learnt from a few windows."""
    return tails.student(z, dispersion.windows - 1) if dispersion.windows else tails.normal(z)


def _limit(chance: float, dispersion: Dispersion) -> float:
    return (
        tails.student_critical(chance, dispersion.windows - 1) if dispersion.windows else tails.normal_critical(chance)
    )


def statistic_records(window: Window, verdicts: Sequence[ColumnVerdict], chance: float) -> Iterator[StatisticRecord]:
    """Yield a record for each statistic of each column; ``chance`` is the window's."""
    for verdict in verdicts:
        sentence = cause(verdict.state, verdict.m, movement_of(verdict))
        for measure in measures(verdict, chance / max(len(verdicts), 1)):
            yield StatisticRecord(
                window=window,
                column=verdict.column,
                statistic=measure.statistic,
                n=verdict.n,
                m=verdict.m,
                value=measure.value,
                threshold=measure.threshold,
                p_value=measure.p_value,
                state=verdict.state.value,
                cause=sentence,
            )


def summary_record(
    window: Window, counts: WindowCounts, verdicts: Sequence[ColumnVerdict], late: int, closed_by: str
) -> SummaryRecord:
    """Return the window's record, its moved columns in the order in which they began to move."""
    signals = [verdict for verdict in verdicts if verdict.state in (State.WARNING, State.DRIFT)]
    moved = sorted(signals, key=lambda verdict: (verdict.since or 0.0, verdict.adjusted))
    return SummaryRecord(
        window=window,
        state=_state(verdicts).value,
        rows=counts.rows,
        invalid=counts.invalid,
        late=late,
        closed_by=closed_by,
        moved=tuple(verdict.column for verdict in moved),
        cause=_sentence(moved, verdicts),
        columns=tuple(_column(verdict) for verdict in verdicts),
    )


def _state(verdicts: Sequence[ColumnVerdict]) -> State:
    """Return the worst; the invalid rows alone do not make a window stable."""
    state = worst([verdict.state for verdict in verdicts])
    compared = any(verdict.pair is not None for verdict in verdicts)
    return State.INSUFFICIENT if state is State.STABLE and not compared else state


def _column(verdict: ColumnVerdict) -> ColumnSummary:
    bins = zip(verdict.pair.profile.bins, verdict.pair.window, strict=True) if verdict.pair else ()
    counts = {str(cell): rows for cell, rows in bins if rows}
    since = None if verdict.since is None else isoformat(moment(verdict.since))
    movement = movement_of(verdict)
    return ColumnSummary(
        name=verdict.column,
        state=verdict.state.value,
        severity=verdict.severity.value,
        test=verdict.detection.finding.test,
        p_value=verdict.adjusted,
        effect=verdict.effect,
        cause=cause(verdict.state, verdict.m, movement),
        n=verdict.n,
        m=verdict.m,
        since=since,
        counts=counts,
        movement=movement,
    )


def _sentence(moved: Sequence[ColumnVerdict], verdicts: Sequence[ColumnVerdict]) -> str:
    if moved:
        first = moved[0]
        others = f", and {len(moved) - 1} more" if len(moved) > 1 else ""
        return f"{first.column}: {cause(first.state, first.m, movement_of(first))}{others}"
    if all(verdict.pair is None for verdict in verdicts):
        return "the version has no reference profile; `penstock drift baseline` makes one"
    if all(verdict.state is State.INSUFFICIENT for verdict in verdicts):
        return "too few rows to say"
    return f"{len(verdicts)} columns are as the reference, within chance"
