"""From the records on the topic and the versions' profiles to the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from schemas.drift import ColumnSummary, SummaryRecord
from streaming.drift.pair import SPECIAL, Pair
from streaming.drift.report import sentences
from streaming.drift.report.facts import (
    Answer,
    BinShares,
    ColumnReport,
    Point,
    Report,
    Spell,
    VersionReport,
    WindowFacts,
)
from streaming.drift.states import Severity, State
from streaming.drift.words import bin_name
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.statistics.shares import shares

MOST_WINDOWS = 500
"""Of a version that has more, the newest are reported."""
MOST_BINS = 24
_SHOWN_OF_MANY = 16
_UNDECIDED = Answer(State.INSUFFICIENT, "", "")
_ORDER = list(State)
Columns = dict[str, ColumnSummary]


def make_report(
    application: str, model: str, records: Iterable[SummaryRecord], profiles: Mapping[int, ReferenceProfile]
) -> Report:
    """Return the report on records of one application and model, in the order in which they were written.

    A record that was sent again replaces the one before. Versions may lack a profile; their bins are then unknown.
    """
    made = [_version(version, found, profiles.get(version)) for version, found in by_version(records).items()]
    made.sort(key=lambda one: (one.windows[-1].end, one.version), reverse=True)
    return Report(application, model, tuple(made))


def by_version(records: Iterable[SummaryRecord]) -> dict[int, list[SummaryRecord]]:
    """Return each version's windows in order; of those that were sent several times, the last."""
    latest = {record.window.id: record for record in records}
    versions: defaultdict[int, list[SummaryRecord]] = defaultdict(list)
    for record in sorted(latest.values(), key=lambda record: (record.window.end, record.window.start)):
        versions[record.window.version].append(record)
    return dict(versions)


def _version(version: int, records: Sequence[SummaryRecord], profile: ReferenceProfile | None) -> VersionReport:
    kept = records[-MOST_WINDOWS:]
    windows = tuple(_windows(kept))
    known = {column.name: column for column in profile.columns} if profile else {}
    tables = [_by_name(record) for record in kept]
    names = dict.fromkeys(name for table in reversed(tables) for name in table)
    columns = [_column(name, tables, windows, known.get(name)) for name in names]
    moved = sorted((one for one in columns if one.moves), key=lambda one: (one.since, _p_value(one)))
    columns.sort(key=_rank, reverse=True)
    told = tuple(replace(one, sentence=sentences.of_column(one, moved, windows)) for one in columns)
    order, rows = tuple(one.name for one in moved), profile.rows if profile else 0
    report = VersionReport(version, windows, told, order, rows, len(records) - len(kept), _UNDECIDED)
    return replace(report, answer=sentences.answer(report))


def _windows(records: Sequence[SummaryRecord]) -> Iterator[WindowFacts]:
    before = ""
    for record in records:
        window = record.window
        moved = tuple(map(sentences.title, record.moved))
        counts = (record.rows, record.invalid, record.late)
        gap = bool(before) and window.start > before
        yield WindowFacts(window.start, window.end, State(record.state), *counts, record.closed_by, moved, gap)
        before = max(before, window.end)


def _by_name(record: SummaryRecord) -> Columns:
    """Return the record's columns; that of the invalid rows comes last, if a feature should have its name as well."""
    return {sentences.title(one.name): one for one in record.columns}


def _rank(column: ColumnReport) -> tuple[int, float, bool, float]:
    worst = column.worst.effect if column.worst else 0.0
    return _ORDER.index(column.state), column.effect if column.moves else 0.0, column.has_moved, worst


def _p_value(column: ColumnReport) -> float:
    return column.now.p_value if column.now else 1.0


def _column(
    name: str, tables: Sequence[Columns], windows: Sequence[WindowFacts], profile: ColumnProfile | None
) -> ColumnReport:
    found = [table.get(name) for table in tables]
    points = tuple(_point(place, one) if one else None for place, one in enumerate(found))
    judged = [point for point in points if point and point.state is not State.INSUFFICIENT]
    now = judged[-1] if judged else None
    worst = max(judged, key=lambda point: point.effect, default=None)
    bins: tuple[BinShares, ...] = ()
    if profile is not None and now and worst:
        bins = _bins(profile, [_counts(found[point.place]) for point in (now, worst)])
    return ColumnReport(name, points, now, worst, tuple(_spells(judged, windows)), bins)


def _point(place: int, one: ColumnSummary) -> Point:
    state, severity = State(one.state), Severity(one.severity)
    return Point(
        place=place,
        state=state,
        severity=severity,
        effect=one.effect,
        p_value=one.p_value,
        m=one.m,
        cause=one.cause,
        since=one.since,
        movement=one.movement,
    )


def _counts(one: ColumnSummary | None) -> dict[int, int]:
    return {int(place): rows for place, rows in one.counts.items()} if one else {}


def _spells(judged: Sequence[Point], windows: Sequence[WindowFacts]) -> Iterator[Spell]:
    for drifting, points in groupby(judged, key=lambda point: point.state is State.DRIFT):
        spell = list(points)
        if drifting:
            first, last = windows[spell[0].place], windows[spell[-1].place]
            yield Spell(spell[0].since or first.start, last.end)


def _bins(profile: ColumnProfile, counts: Sequence[Mapping[int, int]]) -> tuple[BinShares, ...]:
    now, worst = (Pair.of(profile, each) for each in counts)
    sides = zip(*(shares(side).tolist() for side in (now.reference, now.window, worst.window)), strict=True)
    every = [BinShares(bin_name(now, place), *three) for place, three in enumerate(sides)]
    values, special = every[:-SPECIAL], every[-SPECIAL:]
    return (*_fewer(values), *(one for one in special if one.reference or one.now or one.worst))


def _fewer(bins: Sequence[BinShares]) -> Sequence[BinShares]:
    """Return the bins that differ most in place of more than a person would read, with the others as one."""
    if len(bins) <= MOST_BINS:
        return bins
    telling = sorted(bins, key=_difference, reverse=True)[:_SHOWN_OF_MANY]
    rest = [one for one in bins if one not in telling]
    pooled = (sum(getattr(one, side) for one in rest) for side in ("reference", "now", "worst"))
    return *(one for one in bins if one in telling), BinShares(f"{len(rest)} others", *pooled)


def _difference(one: BinShares) -> float:
    return max(abs(one.now - one.reference), abs(one.worst - one.reference))
