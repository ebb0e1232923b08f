"""What the ledger says of an offset, against histories whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streaming.delivery.ledger import Plan
from streaming.delivery.lineage import Certainty, Fate, Lineage, OffsetLookup, Position
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import Outcome
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange

FIRST = 5
"""The offset at which the application began."""
MOVES = ("plan", "write", "finish", "record", "crash", "lose_checkpoint", "roll_back", "skip")
AT = "2026-11-21T11:00:00.000Z"


@dataclass
class History:
    """One partition of the delivery protocol, move by move, with a record of who wrote which offset.

    The ledger and the marks are made as the engine and the writer make them; ``truth`` is noted beside them.
    """

    topic_id: str = "id"
    epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    version: int = 1
    checkpoint: int = 0
    batches: int = 0
    number: int = 0
    plan: Plan | None = None
    attempt: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.mark = Mark.at(FIRST, self.writer)
        self.position = FIRST
        self._open()
        self.log.append(
            {"type": "start", "topic": "features", "topic_id": self.topic_id, "starts": {"0": FIRST}, "at": AT}
        )

    @property
    def writer(self) -> Writer:
        return Writer("app", "features", self.topic_id, self.epoch)

    def move(self, name: str, size: int) -> None:
        getattr(self, f"_{name}")(size)

    def _open(self) -> None:
        self.epoch += 1
        self.number = 0
        self.log.append({"type": "lease", "epoch": self.epoch, "at": AT})

    def _decide(self, part: OffsetRange, reason: str = "") -> None:
        self.number += 1
        version, where = ModelVersion("m", self.version), (str(self.checkpoint), self.batches)
        name = f"{self.epoch}.{self.number}"
        self.plan = Plan(name, "app", "features", self.topic_id, *where, {0: part}, version, AT, reason=reason)
        self.log.append(self.plan.to_dict())
        self.attempt = Outcome()

    def _plan(self, size: int) -> None:
        if self.plan is None:
            self.version += size % 2
            self._decide(OffsetRange(self.position, self.position + size))

    def _write(self, size: int) -> None:
        """One transaction: from the mark on, ``size`` offsets, as far as the batch goes."""
        plan, mark = self.plan, self.mark
        if plan is None:
            return
        part = plan.ranges[0]
        start, end = max(mark.since, part.start), min(mark.offset, part.end)
        earlier = {mark.plan: (start, end)} if mark.plan and mark.since >= 0 and start < end else {}
        if mark.offset >= part.end:
            self.attempt += Outcome(segments=earlier)
            return
        upto = min(mark.offset + size, part.end)
        since = mark.since if mark.plan == plan.id else mark.offset
        self.attempt += Outcome(segments={**earlier, plan.id: (since, upto)})
        self.truth |= dict.fromkeys(range(mark.offset, upto), plan.id)
        self.mark = Mark.at(upto, self.writer, plan.id, since)

    def _record(self, _: int) -> None:
        """The outcome, if the batch is written to its end; Spark has yet to note that the batch is done."""
        if self.plan is None or self.mark.offset < self.plan.ranges[0].end:
            return
        if not self.attempt.segments:
            self._write(0)
        part = self.plan.ranges[0]
        segments = [[plan, *span] for plan, span in self.attempt.segments.items()]
        partitions = {"0": {"start": part.start, "end": part.end, "segments": segments}}
        self.log.append({"type": "outcome", "plan": self.plan.id, "partitions": partitions, "at": AT})

    def _finish(self, size: int) -> None:
        if self.plan is not None:
            self._write(1_000)
            self._record(size)
            self.position, self.plan, self.batches = self.plan.ranges[0].end, None, self.batches + 1

    def _crash(self, _: int) -> None:
        """The next driver finds the batch in the checkpoint, and its plan in the ledger."""
        self._open()
        self.attempt = Outcome()

    def _lose_checkpoint(self, size: int) -> None:
        self._crash(size)
        self.plan, self.checkpoint, self.batches = None, self.checkpoint + 1, 0
        self.position = self.mark.offset

    def _roll_back(self, size: int) -> None:
        if self.plan is not None:
            self.version += 1
            self._decide(self.plan.ranges[0], reason="it threw")

    def _skip(self, size: int) -> None:
        self._crash(size)
        end = self.mark.offset + size
        self.skipped |= set(range(self.mark.offset, end))
        gaps = {"0": [self.mark.offset, end]}
        self.log.append({"type": "skip", "topic": "features", "topic_id": self.topic_id, "gaps": gaps, "at": AT})
        self.mark = Mark.at(end, self.writer)
        self._lose_checkpoint(size)

    def ask(self, offset: int, forgotten: int = 0) -> Lineage:
        lookup = OffsetLookup(Position("features", "id", 0, offset))
        for record in self.log[forgotten:]:
            lookup.add(record)
        return lookup.answer(self.mark, complete=not forgotten)


STEP = st.tuples(st.sampled_from(MOVES), st.integers(1, 6))
HISTORIES = st.lists(STEP, max_size=40)


def played(moves: list[tuple[str, int]], history: History | None = None) -> History:
    history = history or History()
    for move in moves:
        history.move(*move)
    return history


THRICE = [("plan", 6), ("write", 2), ("roll_back", 1), ("roll_back", 1), ("write", 2), ("crash", 1), ("finish", 1)]


@given(HISTORIES)
@example(THRICE)
@settings(max_examples=500, deadline=None)
def test_the_answer_is_the_truth_or_says_what_else_it_may_be(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    for offset in range(history.mark.offset + 3):
        found = history.ask(offset)
        if offset < FIRST:
            assert found.fate is Fate.BEFORE_START
        elif offset in history.skipped:
            assert found.fate is Fate.SKIPPED
        elif offset >= history.mark.offset:
            assert found.fate is Fate.PENDING
        else:
            assert found.plan is not None
            true = history.truth[offset]
            assert true == found.plan.id or true in {plan.id for plan in found.others}
            assert found.certainty is Certainty.PLANNED or not found.others


@given(st.lists(STEP.filter(lambda step: step[0] != "roll_back"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_answer_is_the_truth_alone_where_no_version_was_given_up(moves: list[tuple[str, int]]) -> None:
    history = played(moves)
    for offset, plan in history.truth.items():
        found = history.ask(offset)
        assert found.plan is not None
        assert (found.plan.id, found.plan.version.version) == (plan, version_of(history, plan))


@given(HISTORIES, st.integers(1, 30))
@settings(max_examples=300, deadline=None)
def test_a_ledger_that_has_forgotten_its_oldest_records_is_never_wrong(
    moves: list[tuple[str, int]], forgotten: int
) -> None:
    history = played(moves)
    for offset, true in history.truth.items():
        found = history.ask(offset, forgotten)
        assert found.fate in (Fate.WRITTEN, Fate.FORGOTTEN)
        if found.plan is not None:
            assert true == found.plan.id or true in {plan.id for plan in found.others}


def version_of(history: History, plan: str) -> int:
    return next(int(record["version"]) for record in history.log if record.get("plan") == plan)


RECORDED, PLANNED = Certainty.RECORDED, Certainty.PLANNED
ROLLED_BACK = [("plan", 6), ("write", 2), ("roll_back", 1), ("write", 2)]
LOST = ("lose_checkpoint", 1)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        pytest.param([("plan", 6), ("finish", 1)], [("1.1", RECORDED, [])], id="an outcome tells"),
        pytest.param([("plan", 6), ("write", 6)], [("1.1", RECORDED, [])], id="the mark tells"),
        pytest.param(
            [*ROLLED_BACK, ("finish", 1)],
            [("1.1", RECORDED, []), ("1.2", RECORDED, [])],
            id="a batch was finished by another version than it was begun with",
        ),
        pytest.param(
            [("plan", 6), ("write", 2), LOST, ("plan", 1), ("finish", 1)],
            [("1.1", PLANNED, []), ("2.1", RECORDED, [])],
            id="the outcome went with the checkpoint and one plan is left",
        ),
        pytest.param(
            [*ROLLED_BACK, LOST],
            [("1.1", PLANNED, []), ("1.2", RECORDED, [])],
            id="what the mark says of the later offsets tells who wrote the earlier",
        ),
        pytest.param(
            [*ROLLED_BACK, LOST, ("plan", 1), ("finish", 1)],
            [("1.2", PLANNED, ["1.1"]), ("1.2", PLANNED, ["1.1"])],
            id="two plans are left and nothing tells them apart",
        ),
        pytest.param(
            THRICE,
            [("1.2", PLANNED, ["1.1"]), ("1.3", RECORDED, [])],
            id="of three plans for a batch the outcome names the last alone",
        ),
    ],
)
def test_how_a_plan_is_known(moves: list[tuple[str, int]], expected: list[tuple[str, Certainty, list[str]]]) -> None:
    """Asked of the offset that was written first, and of the third after it."""
    history = played(moves)
    answers = [history.ask(FIRST + 2 * number) for number in range(len(expected))]
    told = [(a.plan.id, a.certainty, [other.id for other in a.others]) for a in answers if a.plan]
    assert told == expected


def test_an_outcome_tells_when_and_under_which_lease_it_was_recorded() -> None:
    found = played([("plan", 6), ("crash", 1), ("finish", 1)]).ask(FIRST)
    assert (found.recorded_at, found.epoch, found.segment) == (AT, 2, OffsetRange(FIRST, FIRST + 6))
    assert found.since == AT


@pytest.mark.parametrize(
    ("topic_id", "plan"), [("old", "1.1"), ("id", "2.1"), ("", "2.1")], ids=["old", "present", "latest"]
)
def test_a_topic_that_was_made_anew_is_another_topic(topic_id: str, plan: str) -> None:
    before = played([("plan", 6), ("finish", 1)], History("old"))
    now = played([("plan", 5), ("finish", 1)], History("id", before.epoch))
    lookup = OffsetLookup(Position("features", topic_id, 0, FIRST))
    for record in [*before.log, *now.log]:
        lookup.add(record)
    found = lookup.answer(now.mark, complete=True)
    assert found.plan is not None
    assert found.plan.id == plan


def restarted(history: History, start: int, **more: Any) -> History:
    """As if all before had gone with the ledger's oldest records, and the marks once had to be set at ``start``."""
    where = {"topic": "features", "topic_id": history.topic_id, "starts": {"0": start}}
    history.log = [{"type": "start", **where, **more, "at": AT}, *history.log[2:]]
    return history


@pytest.mark.parametrize(
    ("history", "mark", "fate"),
    [
        pytest.param(restarted(played([]), FIRST + 1), None, Fate.BEFORE_START, id="below a start"),
        pytest.param(
            restarted(played([]), FIRST + 1, restored=True), 100, Fate.FORGOTTEN, id="below marks that were restored"
        ),
        pytest.param(
            played([("plan", 6), ("write", 6), LOST, ("plan", 6)]), None, Fate.FORGOTTEN, id="no mark: passed"
        ),
        pytest.param(played([("plan", 6), LOST]), None, Fate.PENDING, id="no mark: not passed"),
        pytest.param(played([("plan", 6)], History("old")), 100, Fate.PENDING, id="another topic's mark"),
    ],
)
def test_an_incomplete_ledger_and_marks_that_say_nothing(history: History, mark: int | None, fate: Fate) -> None:
    lookup = OffsetLookup(Position("features", history.topic_id, 0, FIRST))
    for record in history.log:
        lookup.add(record)
    now = None if mark is None else Mark.at(mark, History("id").writer)
    assert lookup.answer(now, complete=False).fate is fate
