"""What the live engine writes twice passes a subscriber once, also the documentation's, and when it is started anew."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pyspark.sql import SparkSession

from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.subscriber import Deduplicator
from tests.support.documents import blocks
from tests.support.engine import event
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import MakeTopic
from tests.support.live import LiveBench, place
from tests.support.models import renumbered
from tests.support.seeds import names_with_seeds

SCRIPTS = ("once_kafka_python.py", "once_confluent.py")
PARTITIONS = (0, 1)


def overlap(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Offset and version: what two generations write of a partition, the older one lagging."""
    for at in range(max(len(old), len(new))):
        yield from ((offsets[at], version) for offsets, version in ((new, 2), (old, 1)) if at < len(offsets))


def write(broker: str, topic: str, answers: Iterable[tuple[int, int]]) -> None:
    """Write predictions of the input topic ``features``, with the writer's own headers."""
    producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
    for offset, version in answers:
        stamp = Stamp("features", ModelVersion("flights", version, "run"), "champion", "2026-01-01T00:00:00.000Z")
        for partition in PARTITIONS:
            own = headers.varying(f"{stamp.id_prefix}{partition}:{offset}", offset, "2013-01-01T00:00:00.000Z", None)
            value = json.dumps({"event_id": f"{partition}-{offset}", "prediction": float(version)})
            shared = headers.constant(stamp, partition, "app")
            producer.produce(topic, value, partition=partition, headers=shared + own)
    assert producer.flush(30) == 0


class Script:
    """A script of the page, pointed at this broker and topic."""

    def __init__(self, folder: Path, text: str, root: Path) -> None:
        self._code, self._out, self._root = folder / "script.py", folder / "out", root
        self._code.write_text(text)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; at the end it is killed, as by a crash."""
        with self._out.open("ab") as out:
            command = [sys.executable, "-u", str(self._code)]
            environment = {"PYTHONPATH": str(self._root), "PATH": ""}
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
            try:
                yield
                assert process.poll() is None, self._out.read_text()
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(30)

    def handled(self) -> list[str]:
        """What it printed, of all its runs."""
        return self._out.read_text().splitlines()


def committed(broker: str, topic: str, group: str) -> dict[int, int]:
    """How far the group has committed."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": group})
    result = consumer.committed([TopicPartition(topic, partition) for partition in PARTITIONS], timeout=30)
    consumer.close()
    return {partition.partition: partition.offset for partition in result}


@pytest.mark.parametrize("name", names_with_seeds(SCRIPTS, ["once_kafka_python.py"]))
def test_the_documentation_s_subscriber_handles_each_event_once_also_across_a_crash(
    broker: str, make_topic: MakeTopic, root: Path, tmp_path: Path, name: str
) -> None:
    topic, group = make_topic("predictions", partitions=len(PARTITIONS)), f"subscriber-{uuid4().hex[:8]}"
    text = next(text for _, text in blocks(root / "docs" / "subscribing.md", "python") if name in text)
    # The broker waits so long for a killed member; 6 s is the least it allows.
    mine = f'"{group}", "session.timeout.ms": 6000' if name == "once_confluent.py" else f'"{group}"'
    for theirs, ours in {"127.0.0.1:9092": broker, '"predictions"': f'"{topic}"', '"my-service"': mine}.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    # One generation lags by 50 events; offset 30 is a dead letter of both, 90 of the older one.
    old = [offset for offset in range(150) if offset not in (30, 90)]
    new = [offset for offset in range(50, 200) if offset != 30]
    answers = list(overlap(old, new))
    first, second = answers[:120], answers[120:]
    assert {offset for offset, _ in first} & {offset for offset, _ in second}, "no copy comes after the crash"
    script = Script(tmp_path, text, root)

    write(broker, topic, first)
    with script.running():
        eventually(lambda: committed(broker, topic, group) == dict.fromkeys(PARTITIONS, len(first)), timeout=SLOWEST)
    write(broker, topic, second)
    with script.running():
        eventually(lambda: committed(broker, topic, group) == dict.fromkeys(PARTITIONS, len(answers)), timeout=SLOWEST)

    events = [line.split()[0] for line in script.handled()]
    assert sorted(events) == sorted(f"{p}-{offset}" for p in PARTITIONS for offset in {*old, *new})


@pytest.mark.long
def test_what_two_generations_of_the_live_engine_wrote_passes_once(
    spark: SparkSession, broker: str, make_topic: MakeTopic, model: ServedModel, tmp_path: Path
) -> None:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = LiveBench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    bench.slot.release_with(lambda model: None)
    bench.slot.swap(model)
    numbers = count()

    def versions_after_one_more() -> set[int]:
        number = next(numbers)
        bench.send([event(number) if number % 10 else b"{"], partition=number % 2)
        return bench.last_versions()

    with bench.live():
        eventually(lambda: versions_after_one_more() == {1}, timeout=SLOWEST)
        bench.slot.swap(renumbered(model, 2))
        eventually(lambda: versions_after_one_more() == {2}, timeout=SLOWEST)
        sent = next(numbers)
        eventually(lambda: len(set(bench.places())) == sent, timeout=SLOWEST)
    assert bench.failed == []

    once = Deduplicator()
    written = [message for suffix in (".out", ".dlq") for message in bench.read(suffix)]
    passed = Counter(place(message) for message in written if once.is_new(message.headers()))
    assert passed == Counter((number % 2, number // 2) for number in range(sent))
    assert len(written) > sent, "nothing was written twice, so nothing was tried"
