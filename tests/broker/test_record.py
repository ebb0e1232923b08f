"""``penstock record``: the words for a stretch of a topic, and a file of JSON lines in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.verbs.record.options import RecordOptions
from jobs.verbs.record.run import record
from jobs.wiring.stretch import Stretch
from streaming.errors import ConfigurationError
from streaming.offsets import OffsetRange
from tests.support.engine import Bench, event


@pytest.mark.parametrize(
    ("stretch", "message"),
    [
        pytest.param(
            {"offsets": ("0:1-2",), "since": "2013-01-01"}, "name different stretches", id="offsets and a time"
        ),
        pytest.param({"offsets": ("0:1-2",), "plans": "1.1"}, "name different stretches", id="offsets and plans"),
        pytest.param({"offsets": ("zero:1-2",)}, "'zero:1-2' is no stretch", id="no partition"),
        pytest.param({"offsets": ("0:a-",)}, "'0:a-' is no stretch", id="no offset"),
        pytest.param({"until": "tomorrow"}, "--to 'tomorrow' is not a time", id="no time"),
        pytest.param({"offsets": ("7:-",)}, "has 2 partitions; there is no partition 7", id="no such partition"),
        pytest.param({"offsets": ("0:5-",)}, "holds offsets 0 up to 3, not 5 up to 3", id="beyond the end"),
        pytest.param({"offsets": ("0:2-1",)}, "0:2-1 ends before it begins", id="backwards"),
        pytest.param({"offsets": ("0:1-1",)}, "0:1-1 ends before it begins", id="nothing"),
        pytest.param({"offsets": ("0:0-1", "0:2-3")}, "names partition 0 more than once", id="a partition twice"),
        pytest.param(
            {"since": "2013-01-02", "until": "2013-01-01"}, "--to 2013-01-01 is not after", id="times turned round"
        ),
        pytest.param({"plans": "7.1"}, "the ledger has no plan 7.1", id="no such plan"),
    ],
)
def test_words_that_mean_nothing_leave_nothing(
    bench: Bench, config: Path, tmp_path: Path, stretch: dict[str, Any], message: str
) -> None:
    bench.send([event(number) for number in range(3)])
    with pytest.raises(ConfigurationError, match=message):
        record(config, [], RecordOptions(tmp_path / "made" / "recording", None, Stretch(**stretch)))
    assert list(tmp_path.glob("made/*")) == []


@pytest.fixture
def config(bench: Bench, tmp_path: Path) -> Path:
    file = tmp_path / "penstock.yaml"
    file.write_text(json.dumps(bench.settings.model_dump(mode="json")))
    return file


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        pytest.param({}, {0: (0, 4), 1: (0, 0)}, id="all", marks=pytest.mark.long),
        pytest.param({"offsets": ("0:1-3",)}, {0: (1, 3)}, id="offsets"),
        pytest.param({"offsets": ("0:-2", "1:-")}, {0: (0, 2), 1: (0, 0)}, id="open ends"),
        pytest.param({"since": "1970-01-01T00:00:02Z"}, {0: (1, 4), 1: (0, 0)}, id="since", marks=pytest.mark.long),
        pytest.param(
            {"since": "1970-01-01T00:00:02Z", "until": "1970-01-01T00:00:04Z"}, {0: (1, 3), 1: (0, 0)}, id="between"
        ),
        pytest.param({"plans": "1.1"}, {0: (0, 4), 1: (0, 0)}, id="a plan", marks=pytest.mark.long),
    ],
)
def test_a_stretch_is_recorded(
    bench: Bench, config: Path, tmp_path: Path, stretch: dict[str, Any], expected: dict[int, tuple[int, int]]
) -> None:
    for second in range(1, 5):
        bench.send([event(second)], timestamp=1_000 * second)
    if "plans" in stretch:
        bench.run()
    made = record(config, [], RecordOptions(tmp_path / "recording", None, Stretch(**stretch)))
    assert made.ranges == {partition: OffsetRange(*part) for partition, part in expected.items()}
    assert [record.offset for record in made.records(0)] == list(range(*expected[0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"partitions": 4}, "--partitions is for --lines", id="partitions of a topic"),
        pytest.param(
            {"lines": Path("e.jsonl"), "stretch": Stretch("2013-01-01")}, "recorded whole", id="times of a file"
        ),
    ],
)
def test_options_that_would_be_passed_over_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    options = RecordOptions(**{"out": tmp_path / "recording", "topic": None, "stretch": Stretch(), **changes})
    with pytest.raises(ConfigurationError, match=message):
        record(None, [], options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_json_lines_needs_no_broker(tmp_path: Path) -> None:
    lines = tmp_path / "events.jsonl"
    lines.write_bytes(b"\n".join(event(number) for number in range(9)))
    options = RecordOptions(tmp_path / "recording", "flights", Stretch(), lines, partitions=2)
    made = record(None, ["event.key=event_id"], options)
    assert (made.topic, made.topic_id, made.rows) == ("flights", "", 9)
    assert made.ranges == {0: OffsetRange(0, 9), 1: OffsetRange(0, 9)}
    places = sorted(recorded.offset for partition in (0, 1) for recorded in made.records(partition))
    assert places == list(range(9))
