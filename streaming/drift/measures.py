"""Every statistic of a column with the value that chance alone would exceed, as the records that are published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.drift import ColumnSummary, Statistic, StatisticRecord, SummaryRecord, Window
from streaming.clock import isoformat, moment
from streaming.drift.decision import Verdict, WindowCounts
from streaming.drift.detection import level_shift
from streaming.drift.dispersion import NONE, Dispersion
from streaming.drift.movement import movement_of
from streaming.drift.pair import SPECIAL, Pair
from streaming.drift.shifts import mean_shift, value_distance
from streaming.drift.states import State, worst
from streaming.drift.words import cause
from streaming.statistics import distances, tails
from streaming.statistics.shares import inverse_size

UPPER = 0.9
"""The quantile of ``upper_shift``: tails move before the middle does."""


class Measure(NamedTuple):
    """A statistic's value, the threshold at the given chance, and the p-value; None where there is none."""

    statistic: Statistic
    value: float | None
    threshold: float | None = None
    p_value: float | None = None


def measures(verdict: Verdict, chance: float) -> Iterator[Measure]:
    """Yield the statistics of a column that has rows on both sides, its share of false alarms being ``chance``."""
    pair, known = verdict.pair, verdict.known
    if pair is None:
        yield Measure(Statistic.INVALID_RATE, verdict.share, verdict.bound, verdict.detection.p_value)
    if pair is None or not pair.n or not pair.m:
        return
    shape, level = (known.shape, known.level) if known else (NONE, NONE)
    yield from _shapes(pair, shape, chance)
    if pair.ordered and all(map(sum, pair.values)):
        yield from _ordered(pair, shape, level, chance)
    yield from _rates(pair, known.special if known else (NONE, NONE, NONE), chance)


def _shapes(pair: Pair, known: Dispersion, chance: float) -> Iterator[Measure]:
    sides, scatter = (pair.reference, pair.window), known.scatter(pair.n, pair.m)
    value, bins = distances.chi_square(*sides)
    stretch = scatter / NONE.scatter(pair.n, pair.m)
    if known.windows and bins:
        # Near detection's law, in which the learnt scatter lies in one direction, and with a plain inverse.
        learnt = known.learnt(pair.n, pair.m)
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
    z_limit = _limit(chance, level) * math.sqrt(scatter)
    shift, mean = level_shift(pair), mean_shift(pair)
    yield Measure(Statistic.LEVEL_SHIFT, shift, z_limit, _two_sided(shift / math.sqrt(scatter), level))
    told = None if mean is None else _two_sided(mean / math.sqrt(scatter), level)
    yield Measure(Statistic.MEAN_SHIFT, mean, None if mean is None else z_limit, told)
    yield Measure(Statistic.MEDIAN_SHIFT, *_quantile(pair, 0.5, level, chance))
    yield Measure(Statistic.UPPER_SHIFT, *_quantile(pair, UPPER, level, chance))


def _quantile(pair: Pair, share: float, known: Dispersion, chance: float) -> tuple[float | None, float, float | None]:
    n, m = map(sum, pair.values)
    deviation = math.sqrt(share * (1 - share) * known.scatter(n, m))
    value = distances.quantile_shift(*pair.values, share)
    p_value = None if value is None else _two_sided(value / deviation, known)
    return value, _limit(chance, known) * deviation, p_value


def _rates(pair: Pair, known: Sequence[Dispersion], chance: float) -> Iterator[Measure]:
    names = (Statistic.NULL_RATE, Statistic.NON_FINITE_RATE, Statistic.UNSEEN_RATE)
    for statistic, place, dispersion in zip(names, range(-SPECIAL, 0), known, strict=True):
        before, now = pair.reference[place], pair.window[place]
        both = (before + now) / (pair.n + pair.m)
        deviation = math.sqrt(both * (1 - both) * dispersion.scatter(pair.n, pair.m))
        difference = now / pair.m - before / pair.n
        p_value = _two_sided(difference / deviation, dispersion) if deviation else 1.0
        limit = before / pair.n + _limit(chance, dispersion) * deviation
        yield Measure(statistic, now / pair.m, limit, p_value)


def _two_sided(z: float, known: Dispersion) -> float:
    """Return the normal's tail, or Student's where the scatter was learnt from a few windows."""
    return tails.student(z, known.windows - 1) if known.windows else tails.normal(z)


def _limit(chance: float, known: Dispersion) -> float:
    return tails.student_critical(chance, known.windows - 1) if known.windows else tails.normal_critical(chance)


def statistic_records(window: Window, verdicts: Sequence[Verdict], chance: float) -> Iterator[StatisticRecord]:
    """Yield a record for each statistic of each column; ``chance`` is the window's."""
    for verdict in verdicts:
        words = cause(verdict.state, verdict.m, movement_of(verdict))
        for measure in measures(verdict, chance / max(len(verdicts), 1)):
            yield StatisticRecord(
                window,
                verdict.column,
                measure.statistic,
                verdict.n,
                verdict.m,
                measure.value,
                measure.threshold,
                measure.p_value,
                verdict.state.value,
                words,
            )


def summary_record(
    window: Window, counts: WindowCounts, verdicts: Sequence[Verdict], late: int, closed_by: str
) -> SummaryRecord:
    """Return the window's record, its moved columns in the order in which they began to move."""
    signals = [one for one in verdicts if one.state in (State.WARNING, State.DRIFT)]
    moved = sorted(signals, key=lambda one: (one.since or 0.0, one.adjusted))
    return SummaryRecord(
        window,
        _state(verdicts).value,
        counts.rows,
        counts.invalid,
        late,
        closed_by,
        tuple(one.column for one in moved),
        _sentence(moved, verdicts),
        tuple(_column(one) for one in verdicts),
    )


def _state(verdicts: Sequence[Verdict]) -> State:
    """Return the worst; the invalid rows alone do not make a window stable."""
    found = worst([one.state for one in verdicts])
    compared = any(one.pair is not None for one in verdicts)
    return State.INSUFFICIENT if found is State.STABLE and not compared else found


def _column(one: Verdict) -> ColumnSummary:
    bins = zip(one.pair.profile.bins, one.pair.window, strict=True) if one.pair else ()
    counts = {str(place): rows for place, rows in bins if rows}
    since = None if one.since is None else isoformat(moment(one.since))
    movement = movement_of(one)
    return ColumnSummary(
        name=one.column,
        state=one.state.value,
        severity=one.severity.value,
        test=one.detection.finding.test,
        p_value=one.adjusted,
        effect=one.effect,
        cause=cause(one.state, one.m, movement),
        n=one.n,
        m=one.m,
        since=since,
        counts=counts,
        movement=movement,
    )


def _sentence(moved: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
    if moved:
        first = moved[0]
        others = f", and {len(moved) - 1} more" if len(moved) > 1 else ""
        return f"{first.column}: {cause(first.state, first.m, movement_of(first))}{others}"
    if all(one.pair is None for one in verdicts):
        return "the version has no reference profile; `penstock drift baseline` makes one"
    if all(one.state is State.INSUFFICIENT for one in verdicts):
        return "too few rows to say"
    return f"{len(verdicts)} columns are as the reference, within chance"
