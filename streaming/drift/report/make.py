"""Making the report from the records on the topic and the versions' profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from schemas.drift import ColumnSummary, State, SummaryRecord
from streaming.drift.pair import SPECIAL, Pair
from streaming.drift.report import sentences
from streaming.drift.report.facts import (
    BinShares,
    ColumnReport,
    Point,
    Report,
    ReportAnswer,
    Spell,
    VersionReport,
    WindowFacts,
)
from streaming.drift.states import Severity
from streaming.drift.words import bin_name
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.statistics.shares import shares

MOST_WINDOWS = 500
"""The most windows of a version that are reported, the newest ones."""
MOST_BINS = 24
_SHOWN_OF_MANY = 16
_UNDECIDED = ReportAnswer(State.INSUFFICIENT, "", "")
_ORDER = list(State)
Columns = dict[str, ColumnSummary]


def make_report(
    application: str, model: str, records: Iterable[SummaryRecord], profiles: Mapping[int, ReferenceProfile]
) -> Report:
    """Return the report on records of one application and model, in the order in which they were written.

    A record that was sent again replaces the one before. Versions may lack a profile; their bins are then unknown.
    """
    made = [_version(version, summaries, profiles.get(version)) for version, summaries in by_version(records).items()]
    made.sort(key=lambda report: (report.windows[-1].end, report.version), reverse=True)
    return Report(application, model, tuple(made))


def by_version(records: Iterable[SummaryRecord]) -> dict[int, list[SummaryRecord]]:
    """Return each version's windows in order; of those that were sent several times, the last."""
    latest = {record.window.id: record for record in records}
    versions: defaultdict[int, list[SummaryRecord]] = defaultdict(list)
    for record in sorted(latest.values(), key=lambda record: (record.window.end, record.window.start)):
        versions[record.window.version].append(record)
    return dict(versions)


def _version(version: int, records: Sequence[SummaryRecord], profile: ReferenceProfile | None) -> VersionReport:
    shown = records[-MOST_WINDOWS:]
    windows = tuple(_windows(shown))
    profiles = {column.name: column for column in profile.columns} if profile else {}
    tables = [_by_name(record) for record in shown]
    # Columns of the same rank stay in the order of the newest window, as the sort is stable.
    names = dict.fromkeys(name for table in reversed(tables) for name in table)
    columns = [_column(name, tables, windows, profiles.get(name)) for name in names]
    moved = sorted((column for column in columns if column.moves), key=lambda column: (column.since, _p_value(column)))
    columns.sort(key=_rank, reverse=True)
    described = tuple(replace(column, sentence=sentences.of_column(column, moved, windows)) for column in columns)
    order, rows = tuple(column.name for column in moved), profile.rows if profile else 0
    report = VersionReport(
        version=version,
        windows=windows,
        columns=described,
        moved=order,
        reference_rows=rows,
        left_out=len(records) - len(shown),
        answer=_UNDECIDED,
    )
    return replace(report, answer=sentences.answer(report))


def _windows(records: Sequence[SummaryRecord]) -> Iterator[WindowFacts]:
    before = ""
    for record in records:
        window = record.window
        moved = tuple(map(sentences.title, record.moved))
        yield WindowFacts(
            start=window.start,
            end=window.end,
            state=State(record.state),
            rows=record.rows,
            invalid=record.invalid,
            late=record.late,
            closed_by=record.closed_by,
            moved=moved,
            after_gap=bool(before) and window.start > before,
        )
        before = max(before, window.end)


def _by_name(record: SummaryRecord) -> Columns:
    """Return the record's columns; that of the invalid rows comes last, if a feature should have its name as well."""
    return {sentences.title(column.name): column for column in record.columns}


def _rank(column: ColumnReport) -> tuple[int, float, bool, float]:
    worst = column.worst.effect if column.worst else 0.0
    return _ORDER.index(column.state), column.effect if column.moves else 0.0, column.has_moved, worst


def _p_value(column: ColumnReport) -> float:
    return column.now.p_value if column.now else 1.0


def _column(
    name: str, tables: Sequence[Columns], windows: Sequence[WindowFacts], profile: ColumnProfile | None
) -> ColumnReport:
    summaries = [table.get(name) for table in tables]
    points = tuple(_point(index, summary) if summary else None for index, summary in enumerate(summaries))
    judged = [point for point in points if point and point.state is not State.INSUFFICIENT]
    now = judged[-1] if judged else None
    worst = max(judged, key=lambda point: point.effect, default=None)
    bins: tuple[BinShares, ...] = ()
    if profile is not None and now and worst:
        bins = _bins(profile, [_counts(summaries[point.place]) for point in (now, worst)])
    return ColumnReport(
        name=name, points=points, now=now, worst=worst, spells=tuple(_spells(judged, windows)), bins=bins
    )


def _point(index: int, summary: ColumnSummary) -> Point:
    state, severity = State(summary.state), Severity(summary.severity)
    return Point(
        place=index,
        state=state,
        severity=severity,
        effect=summary.effect,
        p_value=summary.p_value,
        m=summary.m,
        cause=summary.cause,
        since=summary.since,
        movement=summary.movement,
    )


def _counts(summary: ColumnSummary | None) -> dict[int, int]:
    return {int(index): rows for index, rows in summary.counts.items()} if summary else {}


def _spells(judged: Sequence[Point], windows: Sequence[WindowFacts]) -> Iterator[Spell]:
    for drifting, points in groupby(judged, key=lambda point: point.state is State.DRIFT):
        spell = list(points)
        if drifting:
            first, last = windows[spell[0].place], windows[spell[-1].place]
            yield Spell(spell[0].since or first.start, last.end)


def _bins(profile: ColumnProfile, counts: Sequence[Mapping[int, int]]) -> tuple[BinShares, ...]:
    now, worst = (Pair.of(profile, each) for each in counts)
    sides = zip(*(shares(side).tolist() for side in (now.reference, now.window, worst.window)), strict=True)
    every = [BinShares(bin_name(now, index), *three) for index, three in enumerate(sides)]
    values, special = every[:-SPECIAL], every[-SPECIAL:]
    return (*_fewer(values), *(bin_ for bin_ in special if bin_.reference or bin_.now or bin_.worst))


def _fewer(bins: Sequence[BinShares]) -> Sequence[BinShares]:
    """Return the bins that differ most in place of more than a person would read, with the others as one."""
    if len(bins) <= MOST_BINS:
        return bins
    telling = sorted(bins, key=_difference, reverse=True)[:_SHOWN_OF_MANY]
    others = [bin_ for bin_ in bins if bin_ not in telling]
    pooled = (sum(getattr(bin_, side) for bin_ in others) for side in ("reference", "now", "worst"))
    return *(bin_ for bin_ in bins if bin_ in telling), BinShares(f"{len(others)} others", *pooled)


def _difference(bin_: BinShares) -> float:
    return max(abs(bin_.now - bin_.reference), abs(bin_.worst - bin_.reference))
