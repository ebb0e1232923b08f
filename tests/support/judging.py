"""Made-up rollouts for a judge: events that both versions have answered, their labels and the dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.drift import SummaryRecord
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, ShadowRole
from streaming.clock import instant, isoformat
from streaming.judging.book import BookRules
from streaming.judging.rounds import JudgeSubject
from streaming.outputs.read_back import Output, Stored
from streaming.quality.tables import LABELS, by_id, tables

DAY = instant("2013-06-01T00:00:00Z")
RULES = BookRules(horizon=timedelta(days=1), lateness=timedelta(hours=1))
SUBJECT = JudgeSubject("app", RULES)
Keyed = tuple[bytes | None, ShadowPrediction]


def answer(version: int, late: float | None, reason: str | None = None) -> PairedAnswer:
    """What a version says: the chance that a flight is late, or nothing and why."""
    if late is None:
        return PairedAnswer("flights", version, reason=reason or "SCORING_FAILED")
    names = ("on time", "late")
    return PairedAnswer("flights", version, float(late > 0.5), names[late > 0.5], (1 - late, late), max(late, 1 - late))


def shadow_record(
    number: int, champion: float | None, candidate: float | None, minutes: float | None = None, **changes: Any
) -> Keyed:
    """Event ``number``, so many minutes after the day began (its number, if nothing is said), answered by v1 and v2."""
    happened = DAY + timedelta(minutes=number if minutes is None else minutes)
    fields: dict[str, Any] = {
        "prediction_id": f"p{number}",
        "event_id": f"e{number}",
        "event_time": isoformat(happened),
        "source_topic": "features",
        "source_partition": number % 2,
        "source_offset": number // 2,
        "application": "app",
        "rollout": "flights-2",
        "weight_epoch": 1,
        "role": ShadowRole.SHADOW,
        "scored_at": isoformat(happened),
        "served": answer(1, champion),
        "shadow": answer(2, candidate),
    }
    return b"k%d" % number, ShadowPrediction(**{**fields, **changes})


def label_row(number: int, text: str | None, known_at: datetime, offset: int = 0) -> dict[str, Any]:
    """A label of event ``number``."""
    return {"identity": by_id(f"e{number}"), "label": text, "known": known_at, "offset": offset}


def label_table(*rows: dict[str, Any]) -> pa.Table:
    """Labels as a topic's reader gives them."""
    return pa.concat_tables([LABELS.empty_table(), *tables(rows, LABELS)])


def letter(version: int, offset: int, partition: int = 0) -> Output:
    """A dead letter of a version."""
    record = Stored("features.dlq", partition, offset, (), None)
    return Output("dead letter", record, ("features", partition, offset), "app", version, reason="SCORING_FAILED")


@dataclass
class MadeUpTopics:
    """Implements :class:`streaming.judging.rounds.JudgeTopics` in memory; each method yields what is new."""

    books: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[Keyed] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    dead: list[tuple[bytes | None, Output]] = field(default_factory=list)
    windows: list[tuple[datetime, SummaryRecord]] = field(default_factory=list)
    written: list[dict[str, Any]] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)

    def _new(self, name: str) -> Iterator[Any]:
        rows: list[Any] = getattr(self, name)
        since, self.read[name] = self.read.get(name, 0), len(rows)
        return iter(rows[since:])

    def begin(self, declared: datetime) -> None:
        """Read again."""
        self.read = {"books": self.read.get("books", 0)}

    def whole_ledger(self) -> Iterable[Mapping[str, Any]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._new("books")

    fresh_ledger = whole_ledger

    def shadow(self) -> Iterable[Keyed]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._new("pairs")

    def labels(self, since: datetime) -> Iterator[pa.Table]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._new("tables")

    def letters(self) -> Iterable[tuple[bytes | None, Output]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._new("dead")

    def drift(self) -> Iterable[tuple[datetime, SummaryRecord]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._new("windows")

    def lag(self) -> Mapping[str, int]:
        """What is there and not yielded yet."""
        names = {"pairs": "shadow", "dead": "dead letters", "tables": "labels", "windows": "drift"}
        return {topic: len(getattr(self, name)) - self.read.get(name, 0) for name, topic in names.items()}

    def write(self, record: Mapping[str, Any]) -> None:
        """Append to the ledger, which the judge reads as well."""
        self.written.append(dict(record))
        self.books.append(dict(record))

    def restarted(self) -> MadeUpTopics:
        """The same topics for a judge that has read nothing, without its verdicts."""
        books = [record for record in self.books if record.get("kind") != "verdict"]
        return MadeUpTopics(books, self.pairs, self.tables, self.dead, self.windows)
