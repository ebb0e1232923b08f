"""``penstock drift report`` and the alerts over a real broker: what was written is what is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jobs.command import main as cli
from jobs.verbs.drift.report import report
from schemas.drift import SummaryRecord
from streaming.adapters.kafka.drift import KafkaDriftSink, read_alerts
from streaming.adapters.kafka.events import KafkaNews
from streaming.drift.alerts import Alerts
from streaming.drift.report.make import make_report
from streaming.drift.report.options import DriftReportOptions
from streaming.errors import ConfigurationError
from tests.support.drift_reports import Watch
from tests.support.kafka import MakeTopic


def settings(broker: str, topic: str) -> list[str]:
    return [
        "application=penstock",
        "model.name=flights",
        f"kafka.bootstrap.servers={broker}",
        f"output.drift={topic}",
        "model.tracking_uri=null",
    ]


def windows() -> list[SummaryRecord]:
    """Six days of which the last four have moved."""
    watch = Watch(names=["temp"])
    return [watch.window(shift) for shift in (0.0, 0.0, 0.4, 0.4, 0.4, 0.4)]


@pytest.fixture
def told(broker: str, make_topic: MakeTopic) -> str:
    """A topic with six windows, the first of them twice, and the alerts that they call for; drift from the third on."""
    topic = make_topic("drift", partitions=1)
    records = windows()
    sink, news = KafkaDriftSink({"bootstrap.servers": broker}, topic), KafkaNews({"bootstrap.servers": broker}, topic)
    look = Alerts([news])
    for record in [records[0], *records]:
        sink.publish([], record)
        look(record)
    sink.flush()
    news.close()
    return topic


def test_the_report_is_that_of_the_windows_on_the_topic(broker: str, told: str) -> None:
    result = report(None, settings(broker, told), None, DriftReportOptions())
    assert result == make_report("penstock", "flights", windows(), {})
    assert result.versions[0].moved == ("temp",)


def test_other_applications_and_models_on_the_topic_are_not_in_it(broker: str, told: str) -> None:
    for other in ("application=other", "model.name=other"):
        assert report(None, [*settings(broker, told), other], None, DriftReportOptions()).versions == ()


def test_a_topic_that_is_not_there_is_named(broker: str) -> None:
    with pytest.raises(ConfigurationError, match="no topic 'nowhere'"):
        report(None, settings(broker, "drift"), "nowhere", DriftReportOptions())


def test_alerts_are_read_as_they_were_sent_and_not_sent_again(broker: str, told: str) -> None:
    kafka = {"bootstrap.servers": broker}
    sent = list(read_alerts(kafka, told))
    assert [(alert.before, alert.state) for alert in sent] == [("stable", "warning"), ("warning", "drift")]
    news = KafkaNews(kafka, told)
    look = Alerts([news], sent)
    for record in windows()[-2:]:
        look(record)
    news.close()
    assert list(read_alerts(kafka, told)) == sent


def test_the_command_writes_the_page_and_the_json(
    broker: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, data = tmp_path / "drift.html", tmp_path / "drift.json"
    sets = [word for setting in settings(broker, told) for word in ("--set", setting)]
    command = ["penstock", "drift", "report", *sets, "--html", str(page), "--json", str(data)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "1 of 4 columns has drifted" in capsys.readouterr().out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(data.read_text("utf-8"))["versions"][0]["answer"]["state"] == "drift"


def test_without_windows_the_command_ends_with_1(
    broker: str, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for setting in settings(broker, make_topic("drift", partitions=1)) for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["penstock", "drift", "report", *sets])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "penstock drift run" in capsys.readouterr().out
