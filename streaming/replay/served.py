"""Which version scored which offsets, as the ledger says: what a replay through the versions that served then needs.

Outcomes name the plan for all that they cover. Where a crash took an outcome, the rule of
:class:`streaming.ledger.lineage.OffsetLookup` is asked, once for each stretch in which its answer cannot change.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from streaming.delivery.marks import Mark
from streaming.errors import DataError
from streaming.ledger.lineage import Fate, OffsetLookup, Position, Record
from streaming.ledger.plan import Plan
from streaming.offsets import OffsetRange, Ranges
from streaming.replay.chunks import Segment

_Span = tuple[int, int, str]
"""Start, end, and the plan that wrote it."""


@dataclass(frozen=True)
class ServingHistory:
    """One application's ledger, and its marks on the source. ``records``, oldest first, may be read several times."""

    records: Callable[[], Iterable[Record]]
    marks: Mapping[int, Mark | None]
    complete: bool
    """True if the ledger still has its first record."""


def as_served(books: ServingHistory, topic: str, topic_id: str, ranges: Ranges) -> dict[int, list[Segment]]:
    """Return what was scored of ``ranges``, and by which arms; offsets that were never to be scored are left out.

    Raises:
        DataError: the ledger has forgotten who scored some of them, or they are not scored yet.
    """
    outcomes = _Outcomes(topic, topic_id, ranges)
    for record in books.records():
        outcomes.add(record)
    served = {p: [(start, end, outcomes.plans[plan]) for start, end, plan in outcomes.spans[p]] for p in ranges}
    holes = [(p, hole) for p, part in ranges.items() for hole in _holes(part, outcomes.spans[p])]
    if holes:
        for position, end, plan in _asked(books, topic, topic_id, holes):
            served[position.partition].append((position.offset, end, plan))
    return {p: _joined(sorted(spans, key=lambda span: span[:2])) for p, spans in served.items()}


class _Outcomes:
    """Takes a ledger's records, oldest first; ``spans`` are disjoint and in order."""

    def __init__(self, topic: str, topic_id: str, ranges: Ranges) -> None:
        self._source = topic, topic_id
        self._ranges = ranges
        self.plans: dict[str, Plan] = {}
        self.spans: dict[int, list[_Span]] = {partition: [] for partition in ranges}

    def add(self, record: Record) -> None:
        if record["type"] == "plan" and (record["topic"], record["topic_id"]) == self._source:
            plan = Plan.from_dict(record)
            if any(_common(part, plan.ranges.get(p)) for p, part in self._ranges.items()):
                self.plans[plan.id] = plan
        elif record["type"] == "outcome" and record["plan"] in self.plans:
            planned = self.plans[record["plan"]].ranges
            for partition in self._ranges.keys() & planned.keys():
                within = _common(self._ranges[partition], planned[partition])
                written = record["partitions"].get(str(partition), {"segments": ()})
                for plan_id, start, end in written["segments"]:
                    part = _common(within, OffsetRange(start, end))
                    if part and plan_id in self.plans:
                        self._add_span(partition, part, plan_id)

    def _add_span(self, partition: int, part: OffsetRange, plan: str) -> None:
        """Add a span where there is none yet; what was recorded first stays."""
        spans = self.spans[partition]
        # A copy, because the loop inserts into the list that it looks at.
        for hole in list(_holes(part, spans)):
            insort(spans, (hole.start, hole.end, plan))


def _common(first: OffsetRange | None, other: OffsetRange | None) -> OffsetRange | None:
    if first is None or other is None:
        return None
    start, end = max(first.start, other.start), min(first.end, other.end)
    return OffsetRange(start, end) if start < end else None


def _holes(part: OffsetRange, spans: list[_Span]) -> Iterator[OffsetRange]:
    """Yield what ``spans``, disjoint and in order, leave of ``part``."""
    at = part.start
    for start, end, _ in spans[max(0, bisect_right(spans, (at,)) - 1) :]:
        if start >= part.end:
            break
        if start > at:
            yield OffsetRange(at, start)
        at = max(at, end)
    if at < part.end:
        yield OffsetRange(at, part.end)


def _asked(
    books: ServingHistory, topic: str, topic_id: str, holes: list[tuple[int, OffsetRange]]
) -> Iterator[tuple[Position, int, Plan]]:
    """Look each stretch of the holes up; yield its first position, its end and its plan."""
    stretches = list(_stretches(books, holes))
    lookups = [OffsetLookup(Position(topic, topic_id, partition, part.start)) for partition, part in stretches]
    for record in books.records():
        for lookup in lookups:
            lookup.add(record)
    for (partition, part), lookup in zip(stretches, lookups, strict=True):
        lineage = lookup.answer(books.marks.get(partition), books.complete)
        if lineage.plan is not None:
            yield Position(topic, topic_id, partition, part.start), part.end, lineage.plan
        elif lineage.fate in (Fate.PENDING, Fate.FORGOTTEN):
            raise DataError(
                _unknown(f"{topic}, partition {partition}, offsets {part.start} to {part.end - 1}", lineage.fate)
            )


def _unknown(where: str, fate: Fate) -> str:
    if fate is Fate.PENDING:
        return f"{where} are not scored yet; end the replay before them, or choose a version"
    return f"{where}: the ledger does not go back that far; begin the replay after them, or choose a version"


def _stretches(books: ServingHistory, holes: list[tuple[int, OffsetRange]]) -> Iterator[tuple[int, OffsetRange]]:
    edges: dict[int, set[int]] = {partition: set() for partition, _ in holes}
    for partition, mark in books.marks.items():
        if mark is not None and partition in edges:
            edges[partition] |= {mark.since, mark.offset}
    for record in books.records():
        for partition, offsets in edges.items():
            offsets.update(_edges(record, str(partition)))
    for partition, hole in holes:
        inner = sorted(edge for edge in edges[partition] if hole.start < edge < hole.end)
        bounds = [hole.start, *inner, hole.end]
        yield from ((partition, OffsetRange(*pair)) for pair in pairwise(bounds))


def _edges(record: Record, partition: str) -> Iterator[int]:
    """Yield the offsets at which a record's meaning may change."""
    if record["type"] == "plan":
        yield from record["ranges"].get(partition, ())
    elif record["type"] == "outcome":
        for _, start, end in record["partitions"].get(partition, {"segments": ()})["segments"]:
            yield from (start, end)
    elif record["type"] == "skip":
        yield from record["gaps"].get(partition, ())
    elif record["type"] == "start":
        start = record["starts"].get(partition)
        yield from () if start is None else (start,)


def _joined(spans: list[tuple[int, int, Plan]]) -> list[Segment]:
    joined: list[Segment] = []
    for start, end, plan in spans:
        if plan.arms.is_table:
            raise DataError(
                f"offsets {start} to {end - 1} were scored by many models, {plan.arms}, and a replay through the"
                " versions that served has one for all offsets of a plan; choose a version"
            )
        if any(part.rows or part.score for part in plan.degraded):
            raise DataError(
                f"of offsets {start} to {end - 1} the fallback chain has answered single rows, or all by the default"
                f" score (plan {plan.id}), and a replay through the versions that served has one version for all"
                " offsets of a plan; choose a version"
            )
        if joined and joined[-1].by == plan.arms and joined[-1].part.end == start:
            joined[-1] = Segment(OffsetRange(joined[-1].part.start, end), plan.arms)
        else:
            joined.append(Segment(OffsetRange(start, end), plan.arms))
    return joined
