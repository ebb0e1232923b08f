"""``penstock rollout judge`` over a real broker: what is on the topics to a verdict in the ledger and the status."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from confluent_kafka import Producer
from jsonschema import Draft202012Validator

from jobs.configuration.load import load_settings
from jobs.verbs.rollout.judge import judge_once
from jobs.verbs.rollout.status import statuses
from jobs.wiring.judging import judge_rounds
from schemas.dead_letter import Rejection
from schemas.drift import SummaryRecord
from streaming.adapters.kafka.drift import KafkaDriftSink
from streaming.adapters.kafka.judging import JudgedTopics, KafkaJudgeTopics
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.clock import isoformat, system_clock
from streaming.judging.rounds import JudgeSubject
from streaming.models.ref import ModelKey, ModelVersion
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, OrderGiven, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.rollout.verdict import RolloutVerdict
from tests.support.eventually import SLOWEST, eventually
from tests.support.judging import RULES, Keyed
from tests.support.kafka import MakeTopic
from tests.unit.test_judging import flown
from tests.unit.test_judging_drift import LONG, windows
from tests.unit.test_ledger_answered import outcome, planned

CONTRACT = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "rollout_record.json").read_text()
)
TopicRow = tuple[bytes | None, bytes, int, Any]
"""Key, value, partition and headers."""
PLAN = RolloutPlan((RolloutStep(0.25, {"labelled events": 200}),), probation=RolloutStep(1.0, {"labelled days": 10}))


@dataclass
class Stage:
    """An application's topics, filled by hand with what job, shadow and labellers write."""

    broker: str
    application: str
    ledger: str
    shadow: str
    labels: str
    letters: str
    drift: str
    folder: Path

    @property
    def config(self) -> Path:
        path = self.folder / "penstock.yaml"
        output = {
            "ledger": self.ledger,
            "shadow": self.shadow,
            "dead_letters": self.letters,
            "drift": self.drift,
        }
        settings = {
            "application": self.application,
            "kafka": {"bootstrap.servers": self.broker},
            "model": {"name": "flights"},
            "output": output,
            "quality": {"labels": self.labels},
        }
        path.write_text(yaml.safe_dump(settings))
        return path

    def write(self, topic: str, rows: Iterable[TopicRow], at: datetime | None = None) -> None:
        """Write records now, or as if they had been written ``at`` a time."""
        producer = Producer({"bootstrap.servers": self.broker})
        for key, value, partition, added in rows:
            written_at = 0 if at is None else int(at.timestamp() * 1_000)
            producer.produce(topic, value, key, partition, headers=added, timestamp=written_at)
        assert producer.flush(30) == 0

    def append(self, *records: dict[str, Any]) -> None:
        for record in records:
            own = {**record, "application": self.application}
            append_record({"bootstrap.servers": self.broker}, self.ledger, self.application, own)

    def in_a_step(self) -> None:
        """The first step, as declared, ordered and begun, with a batch in it."""
        now = system_clock()
        declared = Declaration(
            name="flights-2",
            application=self.application,
            candidate=ModelKey("flights", 2),
            salt="salt",
            plan=PLAN,
            at=isoformat(now),
        )
        state = RolloutState(RolloutPhase.STEP, 0, RolloutTime(now, now), "started by order")
        weights = Weights(1, Weights().intervals.changed_to({"candidate": 0.25}))
        begun = Transition(declared, 1, 1, state, weights, champion=1, at=isoformat(now))
        order = OrderGiven("flights-2", self.application, RolloutOrder.START, isoformat(now))
        self.append(declared.to_dict(), order.to_dict(), begun.to_dict())
        counts = {"predictions": 300, "dead_letters": {}, "skipped": 0}
        arms = {
            role: {"predictions": 150, "dead_letters": {}, "newest": isoformat(now)}
            for role in ("champion", "candidate")
        }
        done = outcome(1, (1, 0, 300))
        done["partitions"]["0"] |= {**counts, "arms": arms}
        self.append(planned(1, 1, (0, 300)), done)

    def answer(self, records: Iterable[Keyed], at: datetime | None = None) -> None:
        rows: list[TopicRow] = []
        for key, record in records:
            fields = {**json.loads(record.to_json()), "application": self.application}
            rows.append((key, json.dumps(fields).encode(), record.source_partition, []))
        self.write(self.shadow, rows, at)

    def label(self, labels: pa.Table) -> None:
        rows: list[TopicRow] = []
        for row in labels.to_pylist():
            fields = {
                "event_id": row["identity"][1:].decode(),
                "label": row["label"],
                "known_at": isoformat(row["known"]),
            }
            rows.append((None, json.dumps(fields).encode(), 0, []))
        self.write(self.labels, rows)

    def reject(self, version: int, offsets: range) -> None:
        """Dead letters of a version, each of its own key."""
        stamp = Stamp("features", ModelVersion("flights", version), "champion", isoformat(system_clock()))
        rejection = Rejection("SCORING_FAILED")
        rows = [
            (
                b"dead %d" % offset,
                b"{}",
                0,
                headers.encoded(headers.rejected((), rejection, ("features", 0, offset), self.application, stamp)),
            )
            for offset in offsets
        ]
        self.write(self.letters, rows)


@pytest.fixture
def stage(broker: str, make_topic: MakeTopic, tmp_path: Path) -> Stage:
    ledger = make_topic("ledger", partitions=1, retention_ms=-1)
    shadow, labels, letters = (make_topic(name, partitions=2, retention_ms=-1) for name in ("shadow", "labels", "dlq"))
    return Stage(
        broker=broker,
        application=f"app-{ledger}",
        ledger=ledger,
        shadow=shadow,
        labels=labels,
        letters=letters,
        drift=make_topic("drift", partitions=1, retention_ms=-1),
        folder=tmp_path,
    )


def test_harm_goes_from_the_topics_to_the_ledger_and_to_the_status(stage: Stage) -> None:
    assert judge_once(stage.config, ()) is None, "there is no rollout"
    records, labels = flown(4, lambda chance: 1 - chance)
    stage.in_a_step()
    with judge_rounds(load_settings(stage.config), system_clock) as rounds:
        first = rounds.look()
        assert first is not None
        assert (first.finding, first.evidence["labelled events"].count) == (HarmFinding.NOT_TOLD, 0)
        stage.answer(records)
        stage.reject(2, range(3))
        stage.label(labels)
        verdicts: list[RolloutVerdict] = []

        def is_told() -> bool:
            verdict = rounds.look()
            verdicts.extend([verdict] if verdict else [])
            if not verdicts or verdicts[-1].finding is not HarmFinding.HARM:
                return False
            # Harm may be found before the dead letters have been read.
            return verdicts[-1].checks["dead letters"].count == 3

        eventually(is_told, timeout=SLOWEST)
    assert verdicts[-1].why.startswith("gross harm: on 240 labelled events")
    assert [(part.partition, part.start, part.end) for part in verdicts[-1].answered] == [(0, 0, 300)]
    with statuses(stage.config, ()) as now:
        status = now()
    assert status["judge"]["finding"] == "harm"
    assert status["judge"]["checks"]["dead letters"]["count"] == 3
    assert "the judge found harm: gross harm: on 240" in status["why"]
    again = judge_once(stage.config, ("application=other",))
    assert again is None, "another application's rollout"
    assert judge_once(stage.config, ()) is None, "a judge that was restarted has nothing new to say"
    written = [record for record in ledger_of(stage) if record.get("kind") == "verdict"]
    for record in written:
        Draft202012Validator(CONTRACT).validate(record)
    assert [record["finding"] for record in written][-1] == "harm"


def test_a_judge_that_starts_reads_the_shadow_from_where_the_rollout_was_declared(stage: Stage) -> None:
    now = system_clock()
    records, _ = flown(1, lambda chance: chance)
    stage.answer(records[:40], at=now - timedelta(days=30))
    stage.answer(records[40:50], at=now)
    stage.reject(2, range(3))
    subject = JudgeSubject(stage.application, RULES)
    names = JudgedTopics(
        ledger=stage.ledger,
        shadow=stage.shadow,
        dead_letters=stage.letters,
        drift=f"{stage.drift}-of-nobody",
        labels=None,
    )
    with closing(KafkaJudgeTopics({"bootstrap.servers": stage.broker}, names, subject)) as topics:
        topics.begin(now)
        assert {record.event_id for _, record in topics.shadow()} == {record.event_id for _, record in records[40:50]}
        assert len(list(topics.letters())) == 3, "dead letters have the times of their events"
        assert list(topics.drift()) == [], "a topic that nobody has made"
        topics.begin(now - timedelta(days=60))
        assert len(list(topics.shadow())) == 50
        # Both partitions are followed to their ends.
        eventually(lambda: list(topics.shadow()) == [] and topics.lag()["shadow"] == 0, timeout=SLOWEST)


def test_windows_of_the_drift_job_hold_the_rollout_and_the_status_says_so(stage: Stage) -> None:
    def published(*hours: tuple[int, int]) -> list[SummaryRecord]:
        summaries = [summary for _, summary in windows(*hours)]
        return [replace(each, window=replace(each.window, application=stage.application)) for each in summaries]

    # What was written long before the rollout is about another one.
    stale: list[TopicRow] = [(b"flights", summary.to_json().encode(), 0, []) for summary in published(*[LONG] * 5)[8:]]
    stage.write(stage.drift, stale, at=system_clock() - timedelta(days=30))
    stage.write(stage.drift, [(None, b"no record", 0, [])])
    stage.in_a_step()
    sink = KafkaDriftSink({"bootstrap.servers": stage.broker}, stage.drift)
    with judge_rounds(load_settings(stage.config), system_clock) as rounds:
        first = rounds.look()
        assert first is not None
        assert (first.checks["drift"].count, first.evidence["drift windows"].count) == (0, 0)
        for summary in published(LONG, LONG):
            sink.publish([], summary)
        sink.flush()

        def holds() -> bool:
            rounds.look()
            return rounds.latest is not None and rounds.latest.checks["drift"].count == 2

        eventually(holds, timeout=SLOWEST)
    with statuses(stage.config, ()) as now:
        status = now()
    assert status["why"].startswith("held: 0 of 200 labelled events")
    assert status["judge"]["why"].startswith("drift: the candidate's events are not those of its training: distance")
    assert status["judge"]["checks"]["drift"]["holds"] is True
    assert status["judge"]["evidence"]["drift windows"]["count"] == 2
    written = [record for record in ledger_of(stage) if record.get("kind") == "verdict"]
    for record in written:
        Draft202012Validator(CONTRACT).validate(record)
    restarted = judge_once(stage.config, ())
    assert restarted is None, "a judge that was restarted has nothing new to say"


def ledger_of(stage: Stage) -> list[dict[str, Any]]:
    from tests.support.engine import committed

    return [json.loads(m.value()) for m in committed({"bootstrap.servers": stage.broker}, stage.ledger)]
