"""What the report says in sentences, the same on the terminal, on the page and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from schemas.drift import INVALID, State
from schemas.movement import Movement
from streaming.drift.report.facts import DEAD_LETTERS, ColumnReport, ReportAnswer, VersionReport, WindowFacts
from streaming.drift.states import Severity
from streaming.drift.words import beyond_words, cell_words, dead_letter_words, level_words, shape_words
from streaming.words import plural

_MOST_NAMED = 4
_CELLS = {
    "nulls": "is null in",
    "non_finite": "is not finite in",
    "unseen": "has values that the model was not shown in",
}
_AS_REFERENCE = "matches the reference, within chance"
NO_MORE = "by no more than chance or the reference's own windows"


def day(time: str) -> str:
    """Return a time as people write it, the hour only where it says something.

    >>> day("2013-06-12T00:00:00.000Z"), day("2013-06-12T05:30:00.000Z")
    ('2013-06-12', '2013-06-12 05:30')
    """
    date, _, clock = time[:16].partition("T")
    return date if clock == "00:00" else f"{date} {clock}"


def title(name: str) -> str:
    """Return what people call a column: the invalid rows have no column of the events."""
    return DEAD_LETTERS if name == INVALID else name


def p_value(value: float) -> str:
    """Return a probability as people read it.

    >>> p_value(0.03217), p_value(1e-9), p_value(1.0)
    ('0.032', 'below 0.0001', '1')
    """
    return f"{value:.2g}" if value >= 0.0001 else "below 0.0001"


def what_moved(name: str, movement: Movement | None) -> str:
    """Return a column's movement as a sentence about it; one without a movement drifts on from earlier windows.

    >>> what_moved("temp", Movement("level", 1, 1.2))
    'temp rose by 1.20 standard deviations'
    >>> what_moved("temp", None)
    "temp now differs by no more than chance or the reference's own windows, but not for long enough yet"
    """
    if movement is None:
        return f"{name} now differs {NO_MORE}, but not for long enough yet"
    shares = movement.shares
    if shares is None:
        return f"{name} {level_words(movement)}"
    if movement.test == "shape":
        return f"{name} has another shape ({shape_words(movement, shares)})"
    if movement.test == "beyond":
        return f"{name} is {beyond_words(movement)} in {shares.window:.1%} of rows"
    if movement.test in _CELLS:
        return f"{name} {_CELLS[movement.test]} {cell_words(shares)}"
    return dead_letter_words(shares)


def of_column(column: ColumnReport, moved: Sequence[ColumnReport], windows: Sequence[WindowFacts]) -> str:
    """Return what happened to one column; ``moved`` are those that move now, in the order in which they began."""
    now, name = column.now, column.name
    if now is None:
        return f"No window had enough rows to say anything about {name}."
    if column.state is State.STABLE:
        return f"{name} {_calm_words(column)}{_history(column)}."
    since, order = _since(column.since, windows), _order(column, moved)
    if now.movement is None:
        back = f"the last window differs {NO_MORE}, but that has not lasted long enough"
        return f"{name} {'have' if name == DEAD_LETTERS else 'has'} been in drift {since}; {back}{order}."
    size = f", which is {now.severity.value}" if name != DEAD_LETTERS else ""
    if column.state is State.WARNING:
        return f"{what_moved(name, now.movement)} {since}{size}; a single such window may still be chance."
    return f"{what_moved(name, now.movement)}{size}, {since}{order}."


def differs_by_chance(column: ColumnReport) -> bool:
    """Return whether a column differs by more than a little, yet by no more than chance or the reference itself."""
    large = column.now is not None and column.now.severity in (Severity.MODERATE, Severity.LARGE)
    return large and column.state is State.STABLE and column.name != DEAD_LETTERS


def _calm_words(column: ColumnReport) -> str:
    if column.name == DEAD_LETTERS:
        return "stay within drift.max_invalid_share"
    return f"differs, but {NO_MORE}" if differs_by_chance(column) else _AS_REFERENCE


def _history(column: ColumnReport) -> str:
    if not column.spells:
        return ""
    last = column.spells[-1]
    which = f"the last of {len(column.spells)} drifts was" if len(column.spells) > 1 else "a drift went"
    return f"; {which} from {day(last.since)} to {day(last.until)}"


def _since(since: str, windows: Sequence[WindowFacts]) -> str:
    first = since <= windows[0].start
    return f"from the first window on ({day(since)})" if first else f"from {day(since)} on"


def _order(column: ColumnReport, moved: Sequence[ColumnReport]) -> str:
    if len(moved) < 2:
        return ""
    before = sum(1 for other in moved if other.since < column.since)
    together = sum(1 for other in moved if other.since == column.since)
    if before:
        return f"; {plural(before, 'column')} moved before it"
    if together == len(moved):
        return f"; {'both' if together == 2 else f'all {together}'} columns that moved began together"
    with_others = f", with {plural(together - 1, 'other')}" if together > 1 else ""
    return f"; it was the first of {len(moved)} columns to move{with_others}"


def answer(report: VersionReport) -> ReportAnswer:
    """Return the answer to whether there is drift now: in which columns, since when, and how large."""
    columns = [column for column in report.columns if column.name != DEAD_LETTERS]
    moved = [report.column(name) for name in report.moved]
    drifting = [column for column in moved if column.state is State.DRIFT]
    warned = [column for column in moved if column.state is State.WARNING]
    but = tuple(_but(report, warned if drifting else []))
    if drifting:
        return ReportAnswer(State.DRIFT, _how_many(drifting, len(columns)), _named(drifting), but)
    if warned:
        sentence = f"{_named(warned)} One window may be chance. If the next windows say the same, it is drift."
        return ReportAnswer(State.WARNING, f"Something may be moving: {_names(warned)}", sentence, but)
    if any(column.now for column in report.columns):
        return ReportAnswer(State.STABLE, "No drift", _calm(report, columns), but)
    reason = f"None of {plural(len(report.windows), 'window')} had enough rows to compare."
    return ReportAnswer(
        State.INSUFFICIENT,
        "Too few rows to say",
        f"{reason} Longer windows have more rows (drift.window_seconds).",
        but,
    )


def _how_many(drifting: Sequence[ColumnReport], columns: int) -> str:
    values = [column for column in drifting if column.name != DEAD_LETTERS]
    if not values:
        return "Too many dead letters"
    count = f"{len(values)} of {plural(columns, 'column')} {'has' if len(values) == 1 else 'have'} drifted"
    return count if len(values) == len(drifting) else f"{count}, and there are too many dead letters"


def _named(moved: Sequence[ColumnReport]) -> str:
    """Return names, sizes and beginnings, and what the first one did."""
    first, unnamed = moved[0], len(moved) - _MOST_NAMED
    if len(moved) == 1:
        return first.sentence
    groups = [list(group) for _, group in groupby(moved[:_MOST_NAMED], key=lambda column: day(column.since))]
    groups_text = "; ".join(f"{_sized(group)} since {day(group[0].since)}" for group in groups)
    more = f"; then {unnamed} more" if unnamed > 0 else ""
    if first.now is None or first.now.movement is None:
        return f"{groups_text}{more}."
    return f"{groups_text}{more}. First, {what_moved(first.name, first.now.movement)}."


def _sized(group: Sequence[ColumnReport]) -> str:
    sizes = [column.now.severity.value if column.now and column.name != DEAD_LETTERS else "" for column in group]
    if len(group) > 1 and len(set(sizes)) == 1 and sizes[0]:
        return f"{listed([column.name for column in group])} ({'both' if len(group) == 2 else 'all'} {sizes[0]})"
    return listed(
        [f"{column.name} ({size})" if size else column.name for column, size in zip(group, sizes, strict=True)]
    )


def _names(columns: Sequence[ColumnReport]) -> str:
    names = [column.name for column in columns[:_MOST_NAMED]]
    unnamed = len(columns) - _MOST_NAMED
    return listed([*names, f"{unnamed} more"] if unnamed > 0 else names)


def listed(parts: Sequence[str]) -> str:
    """Return names with commas and an *and*.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _calm(report: VersionReport, columns: Sequence[ColumnReport]) -> str:
    window = report.windows[report.judged]
    subject = plural(len(columns), "column") if columns else "the share of dead letters"
    match = "match" if len(columns) > 1 else "matches"
    period = f"from {day(window.start)} to {day(window.end)}"
    return f"In the window {period}, {subject} {match} the reference, within chance."


def _but(report: VersionReport, warned: Sequence[ColumnReport]) -> Iterator[str]:
    if not report.reference_rows:
        yield (
            "The reference profile is not available, so no distributions are shown."
            if any(column.name != DEAD_LETTERS for column in report.columns)
            else f"Version {report.version} has no reference profile, so only its dead letters are watched; make one"
            " with `penstock drift baseline`."
        )
    if warned:
        yield f"{_names(warned)} may be drifting too, but in too few windows so far to be sure."
    back = [column for column in report.columns if column.spells and not column.moves]
    if back:
        yield f"{_names(back)} {'was' if len(back) == 1 else 'were'} in drift before and recovered."
    last = report.windows[-1]
    if report.judged < len(report.windows) - 1:
        judged = report.windows[report.judged]
        yield (
            f"The last window, from {day(last.start)}, has only {plural(last.rows, 'row')}. This answer is about"
            f" the window from {day(judged.start)}."
        )
    late = sum(window.late for window in report.windows)
    rows = sum(window.rows for window in report.windows)
    if late > 0.01 * max(rows, 1):
        yield f"{plural(late, 'row')} came too late to be counted. A longer drift.lateness_seconds waits for them."
