"""``penstock quality run`` over a real broker: labels late, repeated, corrected and withdrawn, and each window once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from jsonschema import Draft202012Validator
from sklearn import metrics as reference

from jobs.command import main as cli
from jobs.configuration.load import load_settings
from jobs.verbs.quality.options import QualityOptions
from jobs.verbs.quality.run import measure
from jobs.wiring.quality import quality_rounds
from schemas.quality import QualityRecord
from streaming.adapters.kafka.quality import read_quality
from streaming.clock import instant, isoformat
from streaming.errors import ConfigurationError, FencedError
from streaming.models.ref import ModelVersion
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.quality.cohort import EarlyCohort, MatureCohort
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic

DAY = instant("2013-06-01T00:00:00Z")
EVENTS = 60
WHOLE = ("--from", "2013-06-01", "--to", "2013-06-02")
Row = tuple[bytes | None, Any, datetime, Any]
"""Key, value, timestamp and headers."""
CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "quality.json").read_text())


@dataclass
class Stream:
    """An application's topics, filled by hand with what its writer would have written."""

    broker: str
    application: str
    events: str
    predictions: str
    labels: str
    quality: str

    def settings(self) -> list[str]:
        names = {"input.topic": self.events, "output.predictions": self.predictions, "output.quality": self.quality}
        own = {"application": self.application, "model.name": "flights", "quality.labels": self.labels}
        every = {**names, **own, "kafka.bootstrap.servers": self.broker, "quality.slice": "carrier"}
        return [f"{name}={value}" for name, value in every.items()]

    def write(self, topic: str, rows: Iterable[Row]) -> None:
        producer = Producer({"bootstrap.servers": self.broker})
        for key, value, when, added in rows:
            body = None if value is None else json.dumps(value)
            producer.produce(topic, body, key, 0, timestamp=round(when.timestamp() * 1000), headers=added)
        assert producer.flush(30) == 0

    def predict(self, first: int, scores: Iterable[float], day: datetime) -> None:
        """Events ``first`` and on of a day, a minute each, and their predictions by version 3."""
        stamp = Stamp(self.events, ModelVersion("flights", 3, "run3"), "champion", isoformat(day))
        fixed = headers.constant(stamp, 0, self.application)
        events: list[Row] = []
        predictions: list[Row] = []
        for minute, score in enumerate(scores):
            number, when = first + minute, day + timedelta(minutes=minute)
            event = {"event_id": f"e{number}", "event_time": isoformat(when)}
            own = headers.varying(f"id{number}", number, isoformat(when), None)
            made = {"prediction_id": f"id{number}", "prediction": float(score > 0.5), "probability": [1 - score, score]}
            also = {"label": None, "confidence": max(score, 1 - score), "scored_at": isoformat(when)}
            model = {"model_name": "flights", "model_version": 3, "run_id": "run3", "role": "champion"}
            key = b"k%d" % number
            events.append((key, {**event, "carrier": "UA" if number % 3 else "AA"}, when, []))
            predictions.append((key, {**event, **made, **also, **model}, when, headers.encoded([*fixed, *own])))
        self.write(self.events, events)
        self.write(self.predictions, predictions)

    def published(self) -> list[QualityRecord]:
        return list(read_quality({"bootstrap.servers": self.broker}, self.quality))


@pytest.fixture
def stream(broker: str, make_topic: MakeTopic) -> Stream:
    names = ("events", "predictions", "labels", "quality")
    events, predictions, labels, quality = (make_topic(name, partitions=1, retention_ms=-1) for name in names)
    return Stream(broker, f"app-{events}", events, predictions, labels, quality)


SCORES = np.random.default_rng(3).uniform(0.02, 0.98, EVENTS).round(3)
TRUTH = np.random.default_rng(4).random(EVENTS) < SCORES


def label_rows() -> list[Row]:
    """Labels of the day. Every fifth event was said otherwise at first; some have none in the end."""
    noon, evening, next_day = DAY + timedelta(hours=12), DAY + timedelta(hours=18), DAY + timedelta(hours=40)
    rows: list[Row] = []
    for number, truth in enumerate(TRUTH.tolist()):
        name, minute = f"e{number}", DAY + timedelta(minutes=number)
        if number % 5 == 0:
            rows.append((None, {"event_id": name, "label": not truth}, noon, []))
        if number % 7 == 0:
            by_time = {"event_time": isoformat(minute), "label": int(truth)}
            rows.append((b"k%d" % number, by_time, evening, []))
        else:
            rows.append((None, {"event_id": name, "label": truth}, evening, []))
    rows += [
        (None, {"event_id": "e1", "label": bool(TRUTH[1])}, next_day, []),  # repeated
        (None, {"event_id": "e2", "label": None}, next_day, []),  # withdrawn
        (None, {"event_id": "e3", "label": "cancelled"}, next_day, []),  # no class of the model
        (None, {"event_id": "e4", "label": not TRUTH[4]}, DAY + timedelta(hours=48, minutes=5), []),  # late
        (None, {"event_id": "e6", "label": not TRUTH[6], "known_at": isoformat(noon)}, next_day, []),  # older news
        (None, {"event_id": "elsewhere", "label": True}, evening, []),
        (b"e8", None, next_day, []),  # a tombstone is no label
    ]
    return rows


def test_late_repeated_corrected_and_withdrawn_labels_give_scikit_learns_metrics_and_each_window_once(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.predict(0, SCORES, DAY)
    stream.write(stream.labels, label_rows())
    page, data = tmp_path / "quality.html", tmp_path / "quality.json"
    sets = [word for setting in stream.settings() for word in ("--set", setting)]
    monkeypatch.setattr(
        sys, "argv", ["penstock", "quality", "run", *sets, *WHOLE, "--html", str(page), "--json", str(data)]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "58 of 60" in capsys.readouterr().out
    (record,) = stream.published()
    made = record.quality
    Draft202012Validator(CONTRACT).validate(json.loads(record.to_json()))

    rows = np.array([number for number in range(EVENTS) if number not in (2, 3)])
    truth, score = TRUTH[rows], SCORES[rows]
    expected = {
        "accuracy": reference.accuracy_score(truth, score > 0.5),
        "precision": reference.precision_score(truth, score > 0.5),
        "recall": reference.recall_score(truth, score > 0.5),
        "f1": reference.f1_score(truth, score > 0.5),
        "auc": reference.roc_auc_score(truth, score),
        "average_precision": reference.average_precision_score(truth, score),
        "log_loss": reference.log_loss(truth, score),
        "brier": reference.brier_score_loss(truth, score),
    }
    assert {name: made.figure(name).value for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)  # type: ignore[union-attr]
    counts = made.labels
    assert (made.events, made.labelled) == (EVENTS, len(rows))
    # Twelve were said otherwise at first, and e6 before; e2 and e3 were changed last.
    assert (counts.records, counts.repeated, counts.corrected) == (EVENTS + 12 + 4, 1, 12 + 1 + 2)
    assert (counts.withdrawn, counts.unknown, counts.late) == (1, 1, 1)
    united = next(each for each in made.slices if each.value == "UA")
    united_rows = rows[rows % 3 > 0]
    assert united.labelled == len(united_rows)
    accuracy = reference.accuracy_score(TRUTH[united_rows], SCORES[united_rows] > 0.5)
    assert united.metrics[0].value == pytest.approx(accuracy, rel=1e-9)
    assert "In the last mature window, 2013-06-01" in page.read_text("utf-8")
    assert json.loads(data.read_text("utf-8"))["windows"][0]["mature"] is True

    again = measure(None, stream.settings(), QualityOptions(until="2013-06-02"))
    assert again.windows[0].versions == (made,)
    # Nothing says that the day is whole, as no later prediction is there.
    assert "no later prediction" in (measure(None, stream.settings(), QualityOptions()).windows[0].why or "")
    assert stream.published() == [record]


def test_a_window_is_early_until_its_labels_are_due_and_is_published_by_a_follower_then(stream: Stream) -> None:
    stream.predict(0, SCORES, DAY)
    stream.predict(EVENTS, SCORES[:3], DAY + timedelta(days=1))
    stream.write(stream.labels, label_rows())
    settings, now = load_settings(None, stream.settings()), DAY + timedelta(hours=30)
    with quality_rounds(settings, lambda: now) as rounds:
        (early,) = list(rounds.measured(DAY, DAY + timedelta(days=1)))
        assert isinstance(early, EarlyCohort)
        assert "due until 2013-06-03T00:00:00" in early.why
        assert list(rounds.closed(None)) == []
        now = DAY + timedelta(days=2)
        (mature,) = list(rounds.closed(None))
        assert isinstance(mature, MatureCohort)
        assert mature.versions != early.versions
        assert list(rounds.closed(None)) == []
        # The next day is over, but nothing says that all of it was scored.
        now = DAY + timedelta(days=30)
        assert list(rounds.closed(None)) == []
    with quality_rounds(settings, lambda: now) as restarted:
        assert list(restarted.closed(None)) == []
    assert [record.start for record in stream.published()] == ["2013-06-01T00:00:00.000Z"]


@pytest.mark.long
def test_a_second_publisher_ends_the_first_and_one_that_only_looks_does_not(stream: Stream) -> None:
    for day in range(3):
        stream.predict(day * EVENTS, SCORES[:5], DAY + timedelta(days=day))
    settings, now = load_settings(None, stream.settings()), DAY + timedelta(days=2)
    with (
        pytest.raises(FencedError, match="another penstock quality run"),
        quality_rounds(settings, lambda: now) as first,
    ):
        assert len(list(first.closed(None))) == 1
        assert len(measure(None, stream.settings(), QualityOptions(until="2013-06-02")).windows) == 1
        now = DAY + timedelta(days=3)
        with quality_rounds(settings, lambda: now) as second:
            assert len(list(second.closed(None))) == 1
        stream.predict(3 * EVENTS, SCORES[:5], DAY + timedelta(days=3))
        now = DAY + timedelta(days=4)
        list(first.closed(None))
    assert [record.start[:10] for record in stream.published()] == ["2013-06-01", "2013-06-02"]


@pytest.mark.long
def test_a_follower_publishes_what_is_mature_until_it_is_stopped(stream: Stream) -> None:
    for day in range(2):
        stream.predict(day * EVENTS, SCORES[:5], DAY + timedelta(days=day))
    sets = [word for setting in stream.settings() for word in ("--set", setting)]
    command = [sys.executable, "-m", "jobs", "quality", "run", "--follow", *sets]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as follower:
        try:
            eventually(lambda: len(stream.published()) == 1, timeout=SLOWEST)
        finally:
            follower.terminate()
            _, printed = follower.communicate(timeout=60)
    assert follower.returncode == 0, printed
    assert "quality_window" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param("quality.labels=null", "quality.labels is not set", id="no topic of labels"),
        pytest.param("quality.labels=nowhere", "no topic 'nowhere'.*quality.labels", id="a topic that is not there"),
    ],
)
def test_what_is_missing_is_named(stream: Stream, change: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        measure(None, [*stream.settings(), change], QualityOptions())
