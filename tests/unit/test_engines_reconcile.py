"""Marks and checkpoint brought into agreement, against a broker and a ledger in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from streaming.clock import system_clock
from streaming.delivery.marks import Mark, Writer
from streaming.engines.checkpoint import Checkpoint, local_reader
from streaming.engines.reconcile import StartPolicy, StartPorts, reconcile_marks
from streaming.engines.start import Move
from streaming.errors import BrokerUnavailableError, ConfigurationError, OffsetGapError
from streaming.ledger.plan import Ledger

WRITER = Writer("app", "features", "id", epoch=2)
ENDS = {"earliest": {0: 10, 1: 0}, "latest": {0: 50, 1: 40}}


@dataclass
class Books:
    """A broker and a ledger that write down what is asked of them, in order."""

    group: dict[int, Mark | None] = field(default_factory=dict)
    refusals: int = 0
    calls: list[str] = field(default_factory=list)
    started: Mapping[int, Mark] = field(default_factory=dict)

    def partitions(self) -> range:
        return range(2)

    def claim(self, partitions: Iterable[int]) -> None:
        self.calls.append("claim")

    def marks(self, partitions: Iterable[int]) -> Mapping[int, Mark | None]:
        self.calls.append("marks")
        return dict(self.group)

    def saved_marks(self) -> Mapping[int, Mark]:
        return {}

    def offsets(self, partitions: Iterable[int], where: str) -> Mapping[int, int]:
        return ENDS[where]

    def move(self, move: Move) -> bool:
        self.calls.append("move")
        self.refusals -= 1
        if self.refusals >= 0:
            return False
        self.group[move.partition] = move.now
        return True

    def planned(self) -> frozenset[int]:
        return frozenset()

    def recent(self) -> list[Any]:
        return []

    def record_start(self, marks: Mapping[int, Mark]) -> None:
        self.calls.append("record_start")
        self.started = marks

    def record_set_aside(self, location: str, reason: str) -> None:
        self.calls.append("record_set_aside")

    def records_skipped(self, partition: int, start: int, end: int, reason: str) -> None:
        self.calls.append(f"skipped {partition}: {start} to {end}")

    def set_aside(self, stamp: str) -> str:
        self.calls.append("set_aside")
        return f"checkpoint.{stamp}"


def ports(books: Books, checkpoint: Path) -> StartPorts:
    return StartPorts(
        writer=WRITER,
        broker=books,
        ledger=cast(Ledger, books),
        checkpoint=Checkpoint(str(checkpoint), "features", local_reader),
        observer=books,
        require_usable=lambda: books.calls.append("require_usable"),
        set_aside=books.set_aside,
        clock=system_clock,
    )


def write_checkpoint(folder: Path, topic: str) -> None:
    (folder / "sources" / "0").mkdir(parents=True)
    (folder / "metadata").write_text(json.dumps({"id": "checkpoint"}))
    (folder / "sources" / "0" / "0").write_text(json.dumps({topic: {"0": 0, "1": 0}}))


@pytest.mark.parametrize("starting", ["earliest", "latest"])
def test_a_first_run_starts_as_the_settings_say_and_records_its_marks(tmp_path: Path, starting: Any) -> None:
    books = Books()
    assert reconcile_marks(ports(books, tmp_path), StartPolicy(starting)) == ENDS[starting]
    assert {partition: mark.offset for partition, mark in books.started.items()} == ENDS[starting]
    assert books.calls == ["require_usable", "claim", "marks", "record_start"]


def test_a_query_without_a_checkpoint_starts_at_the_marks(tmp_path: Path) -> None:
    books = Books({0: Mark.at(20, WRITER), 1: Mark.at(30, WRITER)})
    assert reconcile_marks(ports(books, tmp_path), StartPolicy()) == {0: 20, 1: 30}
    assert books.started == {}


def test_records_that_are_gone_stop_the_start_unless_they_may_be_skipped(tmp_path: Path) -> None:
    books = Books({0: Mark.at(5, WRITER), 1: Mark.at(30, WRITER)})
    with pytest.raises(OffsetGapError, match="offsets 5 to 9"):
        reconcile_marks(ports(books, tmp_path), StartPolicy())
    assert reconcile_marks(ports(books, tmp_path), StartPolicy(skip=True)) == {0: 10, 1: 30}
    assert books.calls[-2:] == ["move", "skipped 0: 5 to 10"]


def test_a_move_that_is_refused_is_decided_again(tmp_path: Path) -> None:
    books = Books({0: Mark.at(5, WRITER), 1: Mark.at(30, WRITER)}, refusals=2)
    assert reconcile_marks(ports(books, tmp_path), StartPolicy(skip=True)) == {0: 10, 1: 30}
    assert (books.calls.count("marks"), books.calls.count("claim")) == (3, 1)


def test_marks_that_never_keep_still_end_the_start(tmp_path: Path) -> None:
    books = Books({0: Mark.at(5, WRITER), 1: Mark.at(30, WRITER)}, refusals=1_000)
    with pytest.raises(BrokerUnavailableError, match="could not be set"):
        reconcile_marks(ports(books, tmp_path), StartPolicy(skip=True))
    assert books.calls.count("move") == 5


def test_the_ledger_says_that_a_checkpoint_is_set_aside_before_it_is_renamed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "features")
    books = Books({0: Mark.at(5, WRITER), 1: Mark.at(30, WRITER)})
    reconcile_marks(ports(books, tmp_path), StartPolicy(skip=True))
    assert books.calls[3:] == ["record_set_aside", "set_aside", "move", "skipped 0: 5 to 10"]


def test_a_checkpoint_of_another_topic_is_refused_before_anything_is_claimed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "rides")
    books = Books()
    with pytest.raises(ConfigurationError, match=r"input\.topic"):
        reconcile_marks(ports(books, tmp_path), StartPolicy())
    assert books.calls == []


def test_an_older_drivers_marks_are_ours_once_they_are_claimed(tmp_path: Path) -> None:
    older = replace(WRITER, epoch=1)
    books = Books({0: Mark.at(20, older), 1: Mark.at(30, older)})
    assert reconcile_marks(ports(books, tmp_path), StartPolicy()) == {0: 20, 1: 30}
