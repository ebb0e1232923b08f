"""The decision where a query starts: at its checkpoint, at the marks, or anew, and what is lost by it.

The marks are the truth. A checkpoint is followed as long as it does not ask for records that are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from streaming.delivery.marks import Mark, Writer, standing
from streaming.errors import DataError, MissingMarkError, OffsetGapError
from streaming.offsets import OffsetRange, Ranges


@dataclass(frozen=True)
class StartFacts:
    """The facts by which a start is decided.

    ``marks`` are the group's; a stranger's commit is ``None``, a partition without one is absent. ``saved`` are the
    progress topic's, ``planned`` the partitions of which the ledger has a plan. ``on_topic`` are the offsets that the
    input still has. ``rereads`` is where the checkpoint may begin to read, ``None`` where there is none.
    """

    marks: Mapping[int, Mark | None]
    on_topic: Ranges
    saved: Mapping[int, Mark]
    planned: frozenset[int] = frozenset()
    rereads: Mapping[int, int] | None = None


@dataclass(frozen=True)
class Move:
    """A partition's mark is to go from ``was``, as the group has it, to ``now``.

    ``gap`` are the offsets that will never be scored, ``None`` where the mark is only put back. ``reason`` is for the
    ledger.
    """

    partition: int
    was: Mark | None
    now: Mark
    gap: OffsetRange | None
    reason: str


@dataclass(frozen=True)
class Start:
    """What to do, in this order: set the checkpoint aside if there is a reason, make the moves, set the new marks.

    ``offsets`` per partition are for a query without a checkpoint.
    """

    offsets: Mapping[int, int]
    new_marks: Mapping[int, Mark]
    moves: tuple[Move, ...] = ()
    set_aside: str = ""


def decide_start(writer: Writer, facts: StartFacts, skip: bool, first: Callable[[], Mapping[int, int]]) -> Start:
    """Decide where to start.

    Args:
        writer: who will write.
        facts: what the broker, the ledger and the checkpoint have.
        skip: whether records that are gone may be left out, and a topic that was made anew be begun.
        first: gives each partition's offset for a first run, by ``input.starting``.

    Raises:
        MissingMarkError: a mark that should be there is nowhere, or not ours.
        TopicRecreatedError: the marks belong to an earlier topic of this name.
        FencedError: a younger driver has written.
        OffsetGapError: records were deleted before they were scored.
        DataError: the topic ends before a mark.
    """
    held = _held(writer, facts)
    moves = {p: move for p, mark in held.items() if (move := _move(writer, facts, p, mark, skip)) is not None}
    marks = {**held, **{p: move.now for p, move in moves.items()}}
    _check(writer, facts, marks)
    added = [p for p in facts.on_topic if p not in marks]
    starts = {p: facts.on_topic[p].start for p in added} if marks else dict(first())
    aside = _distrust(facts, moves)
    # A checkpoint knows partitions added later by itself and marks them when it first reads them.
    followed = facts.rereads is not None and not aside
    new_marks = {} if followed else {p: Mark.at(starts[p], writer) for p in added}
    return Start({**starts, **{p: m.offset for p, m in marks.items()}}, new_marks, tuple(moves.values()), aside)


def _held(writer: Writer, facts: StartFacts) -> dict[int, Mark]:
    """Return the marks there are; one that the group has lost is the progress topic's."""
    held: dict[int, Mark] = {}
    # The group's mark wins: its copy on the progress topic is for where the group has lost it.
    for partition, mark in {**facts.saved, **facts.marks}.items():
        if mark is None or mark.epoch > writer.epoch:
            standing(mark, OffsetRange(0, 0), writer, partition)
        elif partition in facts.on_topic:
            held[partition] = mark
    lost = sorted(p for p in facts.on_topic if p not in held and (p in facts.planned or _has_only_checkpoint(facts)))
    if lost:
        raise MissingMarkError(
            f"{writer.topic}, partitions {lost}: scored before, but neither group {writer.application} nor the progress"
            " topic knows how far. The group's offsets expired (offsets.retention.minutes) or were deleted, and the"
            " progress topic was, too. Restore one of them, or score the topic anew under a new application name and"
            " with another engine.checkpoint."
        )
    return held


def _has_only_checkpoint(facts: StartFacts) -> bool:
    return facts.rereads is not None and not facts.marks and not facts.saved


def _move(writer: Writer, facts: StartFacts, partition: int, mark: Mark, skip: bool) -> Move | None:
    was = facts.marks.get(partition)
    there = facts.on_topic[partition]
    if skip and mark.topic_id != writer.topic_id:
        reason = f"the topic was created again; topic {mark.topic_id} was scored up to {mark.offset}"
        return Move(
            partition=partition,
            was=was,
            now=Mark.at(there.start, writer),
            gap=OffsetRange(0, there.start),
            reason=reason,
        )
    if skip and mark.offset < there.start:
        gap = OffsetRange(mark.offset, there.start)
        return Move(
            partition=partition,
            was=was,
            now=Mark.at(there.start, writer),
            gap=gap,
            reason="deleted before they were scored",
        )
    if was is None:
        return Move(
            partition=partition,
            was=None,
            now=replace(mark, epoch=writer.epoch),
            gap=None,
            reason="restored from the progress topic",
        )
    return None


def _check(writer: Writer, facts: StartFacts, marks: Mapping[int, Mark]) -> None:
    gaps = []
    for partition, mark in sorted(marks.items()):
        standing(mark, OffsetRange(0, 0), writer, partition)
        there = facts.on_topic[partition]
        if mark.offset > there.end:
            raise DataError(
                f"partition {partition} of {writer.topic} was scored up to {mark.offset}, but ends at {there.end}: the"
                " broker has lost acknowledged records (an unclean leader election, or data restored from a backup)."
                " New records would take the offsets of lost ones, so going on would pass over them. Score the topic"
                " anew under a new application name."
            )
        if mark.offset < there.start:
            count = there.start - mark.offset
            gaps.append(f"partition {partition}: offsets {mark.offset} to {there.start - 1} ({count:,})")
    if gaps:
        raise OffsetGapError(
            f"{writer.topic} has lost records before they were scored, by its retention or because somebody deleted"
            f" them. {'; '.join(gaps)}. Nothing was written. To go on behind them, start with --on-gap skip; the ledger"
            " then says what was skipped."
        )


def _distrust(facts: StartFacts, moves: Mapping[int, Move]) -> str:
    """Return why the checkpoint cannot be followed, empty if it can or if there is none."""
    if facts.rereads is None:
        return ""
    if any(move.gap is not None for move in moves.values()):
        return "it leads to records that are skipped"
    behind = [p for p, at in facts.rereads.items() if p in facts.on_topic and at < facts.on_topic[p].start]
    return f"it may read records again that are scored and deleted, in partitions {behind}" if behind else ""
