"""Cases of running jobs: records that cannot be written, rows that throw, a JVM that hangs, drift."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from datetime import datetime, timedelta, timezone

import psutil

from tests.field.rig import Cases, Result, Rig
from tests.field.running import a_score, create, event, producer, records
from tests.support.eventually import eventually

CASES = Cases()


def answered(rig: Rig, topic: str, count: int, timeout: float = 120.0) -> tuple[int, int]:
    """Wait until ``count`` events are answered; return how many predictions and dead letters there are."""

    def counts() -> tuple[int, int] | None:
        pair = len(records(rig, f"{topic}.predictions")), len(records(rig, f"{topic}.dead_letters"))
        return pair if sum(pair) >= count else None

    pair = eventually(counts, timeout=timeout, every=1.0)
    assert sum(pair) == count, pair
    return pair


@CASES.add("70 compacted predictions, one event without a key", "the event holds nothing up")
def compacted(rig: Rig) -> str:
    folder = rig.scratch("k13")
    create(rig, "keys")
    create(rig, "keys.predictions", cleanup_policy="compact")
    sender = producer(rig)
    for number in range(3):
        sender.produce("keys", event(number), None if number == 1 else b"k")
    sender.flush()
    with a_score(rig, folder, "keys", "shop") as job:
        pair = answered(rig, "keys", 3)
        job.wait_until(ready=True)
    assert pair == (2, 1), pair
    return f"{pair[0]} predictions, {pair[1]} dead letter"


def send_ahead(rig: Rig, topic: str) -> None:
    """Send an event of now, and one whose timestamp is two hours ahead of the clock."""
    sender = producer(rig)
    for number in range(2):
        sender.produce(topic, event(number), b"k", timestamp=int(time.time() * 1000) + number * 7_200_000)
    sender.flush()


@CASES.add("72 timestamps ahead of the clock", "they are answered; created topics take the input's bound")
def ahead(rig: Rig) -> str:
    folder = rig.scratch("k15")
    create(rig, "ahead", message_timestamp_after_max_ms="9223372036854775807")
    send_ahead(rig, "ahead")
    with a_score(rig, folder, "ahead", "shop") as job:
        pair = answered(rig, "ahead", 2)
        job.wait_until(ready=True)
    return f"{pair[0]} predictions, {pair[1]} dead letters"


@CASES.add("72b the same, and an output topic with the default bound", "one event holds nothing up")
def ahead_of_an_output(rig: Rig) -> str:
    folder = rig.scratch("k15b")
    create(rig, "late", message_timestamp_after_max_ms="9223372036854775807")
    create(rig, "late.predictions")
    create(rig, "late.dead_letters")
    send_ahead(rig, "late")
    with a_score(rig, folder, "late", "shop"):
        pair = answered(rig, "late", 2)
    return f"{pair[0]} predictions, {pair[1]} dead letters"


@CASES.add("71 64 of 264 rows throw", "guards reject them in seconds, without stack traces in the log")
def many_throwing(rig: Rig) -> str:
    folder = rig.scratch("k14")
    create(rig, "hot")
    sender = producer(rig)
    for number in range(264):
        fields = {"c": 9 if 100 <= number < 164 else 1, "x": 1.0}
        sender.produce("hot", json.dumps({"e": str(number), "t": "2026-01-01T00:00:00Z", **fields}))
    sender.flush()
    with a_score(rig, folder, "hot", "hot", event={"id": "e", "time": "t"}) as job:
        pair = answered(rig, "hot", 264)
        batches = [json.loads(line) for line in job.text().splitlines() if '"batch finished"' in line]
        lines = len(job.text().splitlines())
    assert pair == (200, 64), pair
    assert max(batch.get("isolate", 0) for batch in batches) < 10, batches
    assert lines < 1_000, f"{lines} lines"
    return f"{pair[0]} predictions, {pair[1]} dead letters, {lines} log lines"


@CASES.add("68, 69 a checkpoint of another topic", "the checkpoint's topic is named, twice")
def topic_changed(rig: Rig) -> str:
    folder = rig.scratch("k12")
    create(rig, "one")
    create(rig, "two")
    sender = producer(rig)
    for topic in ("one", "two"):
        sender.produce(topic, event(1), b"k")
    sender.flush()
    with a_score(rig, folder, "one", "shop"):
        answered(rig, "one", 1)
    ends = []
    for changes in (["input.topic=two"], ["input.topic=two", "application=second"]):
        sets = [part for change in changes for part in ("--set", change)]
        result = rig.penstock("score", "-c", "penstock.yaml", *sets, cwd=folder)
        assert result.code in (2, 3), str(result)
        assert "Traceback" not in result.text, result.text[-800:]
        assert "topic one" in result.text or "'one'" in result.text or "one," in result.text, result.text[-800:]
        assert "engine.checkpoint" in result.text, result.text[-800:]
        ends.append(result.code)
    return f"exits {ends}"


@CASES.add("b11 a JVM that hangs", "/livez turns 503, or the standby takes over")
def hung_jvm(rig: Rig) -> str:
    folder = rig.scratch("k11")
    create(rig, "hung")
    sender = producer(rig)
    sender.produce("hung", event(1), b"k")
    sender.flush()
    with a_score(rig, folder, "hung", "shop") as job:
        answered(rig, "hung", 1)
        jvm = next(p for p in psutil.Process(job.process.pid).children(recursive=True) if p.name() == "java")
        jvm.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        try:

            def unwell() -> bool:
                answer = job.get("/livez")
                return job.process.poll() is not None or (answer is not None and answer.status_code == 503)

            eventually(unwell, timeout=180, every=1.0)
        finally:
            if jvm.is_running():
                jvm.send_signal(signal.SIGCONT)
            if job.process.poll() is None:
                os.killpg(job.process.pid, signal.SIGKILL)
        return f"seen after {time.monotonic() - started:.0f} s"


@CASES.add("93 drift of a regressor", "a column without any value is judged by its special bins")
def drift_regressor(rig: Rig) -> Result:
    folder = rig.scratch("k18")
    draw = random.Random(1)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    moments = [start + timedelta(seconds=18 * number) for number in range(8000)]
    lines = [
        event(number, event_time=moment.isoformat().replace("+00:00", "Z"), n=draw.randrange(10))
        for number, moment in enumerate(moments)
    ]
    (folder / "18.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    create(rig, "regress", message_timestamp_after_max_ms="9223372036854775807")
    name = ["--set", "model.name=shop"]
    rig.penstock(
        "drift", "baseline", "--in", "18.jsonl", "--model-version", "1", "--alias", "dr", *name, cwd=folder
    ).expect(0)
    sender = producer(rig)
    for line in lines:
        sender.produce("regress", line, b"k")
        sender.poll(0)
    sender.flush()
    with a_score(rig, folder, "regress", "shop", model={"alias": "dr"}):
        answered(rig, "regress", len(lines))
    result = rig.penstock("drift", "run", "--once", "-c", "penstock.yaml", cwd=folder).expect(0)
    report = rig.penstock("drift", "report", "-c", "penstock.yaml", cwd=folder).expect(0)
    assert "confidence" in report.text or "prediction" in report.text, report.text[-800:]
    return result


@CASES.add("dead letters' time", "a backfill's dead letters are counted in their events' windows")
def backfill(rig: Rig) -> str:
    folder = rig.scratch("kdl")
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    create(rig, "backfill")
    lines = []
    for number in range(8000):
        moment = (start + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        fields = {"km": None} if number % 50 == 0 else {}
        lines.append(event(number, event_time=moment, **fields))
    (folder / "in.jsonl").write_bytes(b"\n".join(line for number, line in enumerate(lines) if number % 50) + b"\n")
    name = ["--set", "model.name=shop", "--set", "drift.window_seconds=600"]
    rig.penstock(
        "drift", "baseline", "--in", "in.jsonl", "--model-version", "1", "--alias", "bf", *name, cwd=folder
    ).expect(0)
    sender = producer(rig)
    for line in lines:
        sender.produce("backfill", line, b"k")
        sender.poll(0)
    sender.flush()
    drift = {"window_seconds": 600, "lateness_seconds": 60}
    output = {"drift": "backfill.drift"}
    reading = {"input": {"topic": "backfill", "starting": "earliest"}, "model": {"name": "shop", "alias": "bf"}}
    with a_score(rig, folder, "backfill", "shop", drift=drift, output=output, **reading):
        answered(rig, "backfill", len(lines))
    rig.penstock("drift", "run", "--once", "-c", "penstock.yaml", cwd=folder).expect(0)
    report = rig.penstock("drift", "report", "-c", "penstock.yaml", "--json", "report.json", cwd=folder).expect(0)
    assert "100" not in report.text or "100.0% of rows became dead letters" not in report.text, report.text
    return report.last_line[:120]


@CASES.add("live: an assembler behind PolynomialExpansion", "the live engine serves it, or says NOT_LIVE at the start")
def live_first_row(rig: Rig) -> str:
    folder = rig.scratch("klive")
    create(rig, "expanding")
    sender = producer(rig)
    for number in range(20):
        sender.produce("expanding", event(number, a=1.0 + number, b=2.0), b"k")
    sender.flush()
    live = {"kind": "live", "checkpoint": str(folder / "checkpoint")}
    with a_score(rig, folder, "expanding", "expanded", engine=live, input={"starting": "earliest"}) as job:
        pair = answered(rig, "expanding", 20)
        assert "fails and starts again" not in job.text()
        assert "must be executed with writeStream" not in job.text(), job.text()[-800:]
    return f"{pair[0]} predictions, {pair[1]} dead letters"
