"""The columns of all files of a batch: one schema, whatever the order in which the files come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql.types import (
    DataType,
    DoubleType,
    LongType,
    NullType,
    StringType,
    StructField,
    StructType,
)

from streaming.batch.needs import Needs
from streaming.batch.shapes import FileColumn, FileShape
from streaming.batch.widening import are_numbers, are_whole_or_fractions, common, have_text
from streaming.errors import ConfigurationError

IsExact = Callable[[str, str], bool]
"""Says of a file's column that its whole numbers lose nothing as doubles."""
_MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Table:
    """What all files have together. ``differences`` are sentences about files that are not like the others."""

    schema: StructType
    differences: tuple[str, ...] = ()


@dataclass
class _Union:
    shapes: Mapping[str, FileShape]
    needs: Needs
    is_exact: IsExact
    problems: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def unite(shapes: Mapping[str, FileShape], needs: Needs, is_exact: IsExact = lambda _path, _name: False) -> Table:
    """Put the files' columns together; those from folders stand at the end.

    Raises:
        ConfigurationError: files do not go together in a column that is read; they are named.
    """
    union = _Union(shapes, needs, is_exact)
    fields = [made for named in _by_name(shapes).values() if (made := _field(union, named))]
    if union.problems:
        more = len(union.problems) - _MOST_PROBLEMS
        unnamed = f"; and {more} more" if more > 0 else ""
        raise ConfigurationError(f"the files do not fit: {'; '.join(union.problems[:_MOST_PROBLEMS])}{unnamed}")
    union.differences += _orders(shapes, [made.name for made in fields])
    return Table(StructType(fields), tuple(union.differences))


_Named = Sequence[tuple[str, FileColumn]]
"""One column's occurrences, each with its file; names that differ only in case are one to Spark."""


def _by_name(shapes: Mapping[str, FileShape]) -> dict[str, list[tuple[str, FileColumn]]]:
    own: dict[str, list[tuple[str, FileColumn]]] = {}
    folders = {name.lower(): None for shape in shapes.values() for name in shape.folders}
    for path, shape in shapes.items():
        for column in shape.effective:
            own.setdefault(column.name.lower(), []).append((path, column))
    return {name: own[name] for name in (*(name for name in own if name not in folders), *folders)}


def _field(union: _Union, named: _Named) -> StructField | None:
    """Return the column as all files have it; ``None`` if it is left alone."""
    name = next((column.name for _, column in named if union.needs.reads(column.name)), named[0][1].name)
    if not _is_told_apart(union, name, named) or not _is_readable(union, name, named):
        return None
    _look_for_gaps(union, name, named)
    # A file in which the column is null throughout says nothing about its type.
    typed = [(path, column) for path, column in named if not isinstance(column.type, NullType)]
    kind = _type(union, name, typed) if typed else StringType()
    return StructField(name, kind) if kind else None


def _is_told_apart(union: _Union, name: str, named: _Named) -> bool:
    first: dict[str, str] = {}
    for path, column in named:
        # Spark's own message would name neither the file nor the remedy.
        if path in first:
            both = f"{path} has the column {column.name} twice"
            if first[path] != column.name:
                both = f"the columns {first[path]} and {column.name} of {path} differ only in case"
            return _leave(union, name, f"{both}, and Spark cannot tell them apart; rename one")
        first[path] = column.name
    spellings = {column.name: path for path, column in reversed(named)}
    if len(spellings) > 1 and any(union.needs.reads(spelling) for spelling in spellings):
        where = " and ".join(f"{spelling} of {path}" for spelling, path in sorted(spellings.items()))
        union.problems.append(f"the columns {where} differ only in case; name them alike")
    return True


def _is_readable(union: _Union, name: str, named: _Named) -> bool:
    for path, column in named:
        if column.type is None:
            remedy = "write it as another type, or do not keep it"
            return _leave(union, name, f"{name} of {path} is {column.described}, which Spark cannot read; {remedy}")
    return True


def _leave(union: _Union, name: str, fault: str) -> bool:
    """Take a fault for a problem if the column is read, else for one more difference; return False."""
    if union.needs.reads(name):
        union.problems.append(fault)
    else:
        union.differences.append(f"{fault.split('; ')[0]}: the column, which nothing reads, is left out")
    return False


def _look_for_gaps(union: _Union, name: str, named: _Named) -> None:
    with_it = {path for path, _ in named}
    without = [path for path in union.shapes if path not in with_it]
    if not without:
        return
    which = f"{without[0]} has no column {name}"
    if len(without) > 1:
        which = f"{len(without)} of {len(union.shapes)} files have no column {name}, the first is {without[0]}"
    if union.needs.requires(name):
        union.problems.append(f"{which}, which every row must have")
    else:
        union.differences.append(f"{which}; it is null there")


def _type(union: _Union, name: str, named: _Named) -> DataType | None:
    kinds: dict[DataType, str] = {}
    for path, column in named:
        if column.type is not None:
            kinds.setdefault(column.type, path)
    kind = common(list(kinds)) or _as_double(union, name, named)
    where = " and ".join(f"{each.simpleString()} in {path}" for each, path in kinds.items())
    if kind is not None:
        if len(kinds) > 1:
            union.differences.append(f"{name} is {where}; it is read as {kind.simpleString()}")
        return kind
    if union.needs.reads(name):
        model = union.needs.model.get(name)
        reader = f"the model reads {model.type}" if model else "it is used"
        union.problems.append(f"{name} is {where}, which is not one column, and {reader}; write it with one type")
        return None
    text = StringType() if have_text(list(kinds)) else None
    union.differences.append(f"{name}, which nothing reads, is {where}; it is {'text' if text else 'left out'}")
    return text


def _as_double(union: _Union, name: str, named: _Named) -> DataType | None:
    """Whole numbers of 64 bits beside fractions: the model rounds them anyway, or none is too large to be exact."""
    types = [column.type for _, column in named if column.type is not None]
    if are_numbers(types) and union.needs.as_fraction(name):
        return DoubleType()
    whole = [(path, column.name) for path, column in named if isinstance(column.type, LongType)]
    if are_whole_or_fractions(types) and all(union.is_exact(path, own_name) for path, own_name in whole):
        return DoubleType()
    return None


def _orders(shapes: Mapping[str, FileShape], names: Sequence[str]) -> Iterator[str]:
    rank = {name.lower(): position for position, name in enumerate(names)}
    odd = []
    for path, shape in shapes.items():
        ranks = [rank[column.name.lower()] for column in shape.effective if column.name.lower() in rank]
        if ranks != sorted(ranks):
            odd.append(path)
    if odd:
        yield f"{len(odd)} of {len(shapes)} files have columns in another order, which does no harm; first {odd[0]}"
