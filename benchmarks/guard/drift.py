"""Weeks of real flights in two arms: how often a candidate is held, by what it has learnt and what the keys are.

The windows are counted here and judged by the drift job's own rules, with a reference profile of the months that each
version has learnt. Every summer week is far from the winter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from schemas.drift import SummaryRecord, Window
from streaming.clock import instant, isoformat, moment
from streaming.drift.decision import DetectionRules, WindowCounts, WindowJudge
from streaming.drift.measures import summary_record
from streaming.judging.drift import DriftBook
from streaming.models.profile import ColumnProfile, Counts, ReferenceProfile
from streaming.models.ref import ModelKey
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.drift import TOLERATED, judge_drift
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.scoring.arrow_bins import bin_ids
from streaming.statistics.arrays import Floats, Ints
from streaming.training.flights import between

WEEK = 7 * 86_400
WINTER, FIVE_MONTHS, CELSIUS = "the winter", "five months", "five months in Celsius"
SUMMER = ("2013-06-01", "2013-09-01")
APART = ((FIVE_MONTHS, CELSIUS), (FIVE_MONTHS, WINTER), (WINTER, FIVE_MONTHS))
"""What champion and candidate have learnt where they differ."""
FEW_KEYS = {"destination": "dest", "carrier": "carrier"}
"""Columns that may be the key in place of 3,882 aircraft: of 96 values, and of 16."""
_MONTHS = {WINTER: ("2013-01-01", "2013-04-01"), FIVE_MONTHS: ("2013-01-01", "2013-06-01")}
NUMERIC = ("distance", "hour", "temp", "humid", "wind_speed", "pressure", "visib", "precip")
CATEGORICAL = ("carrier", "origin")
_CUTS = (0, 0.01, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99, 1)


@dataclass(frozen=True)
class FlightWeeks:
    """Flights with the week of each since 1970, its key, and the columns that models are given."""

    week: Ints
    key: npt.NDArray[np.generic]
    columns: Mapping[str, npt.NDArray[np.generic]]


def departures_in(span: tuple[str, str]) -> pd.DataFrame:
    """Return the departures from one day up to another one."""
    return between(*(instant(f"{day}T00:00:00Z") for day in span))


def learnt_profiles() -> dict[str, ReferenceProfile]:
    """Return the profile of each version by what it has learnt."""
    tables = {name: departures_in(span) for name, span in _MONTHS.items()}
    celsius = tables[FIVE_MONTHS].assign(temp=(tables[FIVE_MONTHS]["temp"] - 32) / 1.8)
    return {name: learnt(flight_weeks(table)) for name, table in {**tables, CELSIUS: celsius}.items()}


def flight_weeks(table: pd.DataFrame, key: str = "key") -> FlightWeeks:
    """Return departures with one of their columns as the key: by default the aircraft."""
    seconds = table["event_time"].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    columns = {name: table[name].to_numpy() for name in (*NUMERIC, *CATEGORICAL)}
    return FlightWeeks(seconds // WEEK, table[key].to_numpy(), columns)


def learnt(flights: FlightWeeks) -> ReferenceProfile:
    """Return the reference profile of a version that was trained on these flights."""
    weeks, profiles = [flights.week == week for week in np.unique(flights.week)], []
    for name, values in flights.columns.items():
        shape = _shape(name, values)
        bins = bins_of(shape, values)
        profiles.append(replace(shape, counts=_counted(bins), windows=tuple(_counted(bins[week]) for week in weeks)))
    return ReferenceProfile(tuple(profiles), len(flights.week), float(WEEK))


def _shape(name: str, values: npt.NDArray[np.generic]) -> ColumnProfile:
    if name in CATEGORICAL:
        return ColumnProfile(name, "categorical", {}, categories=tuple(map(str, np.unique(values))))
    numbers = np.asarray(values, np.float64)
    cuts = np.unique(np.quantile(numbers[~np.isnan(numbers)], _CUTS)).tolist()
    # A bin ends before its upper edge.
    return ColumnProfile(name, "numeric", {}, (*cuts[:-1], math.nextafter(cuts[-1], math.inf)))


def bins_of(profile: ColumnProfile, values: npt.NDArray[np.generic]) -> Ints:
    """Return the bin of each value of a column."""
    return bin_ids(pa.array(values, from_pandas=True), profile).astype(np.int64)


def _counted(bins: Ints) -> Counts:
    return {bin_: count for bin_, count in enumerate(np.bincount(bins).tolist()) if count}


def in_candidates_arm(flights: FlightWeeks, share: float, salt: str) -> npt.NDArray[np.bool_]:
    """Return which flights the candidate answers."""
    assignment = ArmAssignment(salt, ALL_CHAMPION.changed_to({CANDIDATE: share}))
    keys, which = np.unique(flights.key.astype(str), return_inverse=True)
    return np.array([assignment.arm_of(key.encode(), key) == CANDIDATE for key in keys.tolist()])[which]


def weeks_to_hold(
    champion: ReferenceProfile, candidate: ReferenceProfile, flights: FlightWeeks, share: float, runs: int
) -> Floats:
    """Return after how many weeks each run is held; infinite if it never is. Each run has other keys in its arms."""
    versions = (BenchVersion.of(1, champion, flights), BenchVersion.of(2, candidate, flights))
    needed = []
    for run in range(runs):
        is_held = held_weeks(*versions, flights.week, in_candidates_arm(flights, share, f"bench-{run}"))
        needed.append(float(is_held.index(True) + 1) if True in is_held else math.inf)
    return np.array(needed)


@dataclass(frozen=True)
class BenchVersion:
    """A version: its number, what it has learnt, and the bins that it puts each flight's columns into."""

    number: int
    profile: ReferenceProfile
    bins: tuple[Ints, ...]

    @classmethod
    def of(cls, number: int, profile: ReferenceProfile, flights: FlightWeeks) -> BenchVersion:
        """Return it with the bins of these flights."""
        return cls(number, profile, tuple(bins_of(column, flights.columns[column.name]) for column in profile.columns))


def held_weeks(champion: BenchVersion, candidate: BenchVersion, week: Ints, arm: npt.NDArray[np.bool_]) -> list[bool]:
    """Return after each week whether the rollout is held; ``arm`` marks the candidate's flights."""
    book, is_held = DriftBook("bench", ModelKey("flights", candidate.number)), []
    judges = {version.number: WindowJudge(version.profile, DetectionRules()) for version in (champion, candidate)}
    for number in np.unique(week).tolist():
        for version, answered in ((champion, ~arm), (candidate, arm)):
            summary = _summary(version, judges[version.number], number, answered & (week == number))
            book.add([(moment(0), summary)])
        is_held.append(judge_drift(book.pairs(champion.number), TOLERATED).holds)
    return is_held


def _summary(version: BenchVersion, judge: WindowJudge, week: int, rows: npt.NDArray[np.bool_]) -> SummaryRecord:
    start, end = float(week * WEEK), float((week + 1) * WEEK)
    counts = WindowCounts(
        start=start,
        end=end,
        rows=int(rows.sum()),
        invalid=0,
        columns=tuple(_counted(bins[rows]) for bins in version.bins),
    )
    times = {"start": isoformat(moment(start)), "end": isoformat(moment(end))}
    window = Window(application="bench", model="flights", version=version.number, **times)
    return summary_record(window, counts, judge.judge(counts), 0, "watermark")
