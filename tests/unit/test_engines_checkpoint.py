"""Whose checkpoint it is: a query goes on from its own, and another topic's is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streaming.engines.checkpoint import Checkpoint, local_checkpoint, local_reader
from streaming.errors import ConfigurationError

SCORING = {"input.topic": "two"}
DRIFT = {"output.predictions": "predictions", "output.dead_letters": "two.dlq"}


def checkpoint(folder: Path, first: str | None) -> Checkpoint:
    """As Spark's Kafka source writes it: a version, and the offsets of every partition by topic."""
    if first is not None:
        (folder / "sources" / "0").mkdir(parents=True)
        (folder / "sources" / "0" / "0").write_text(first)
    return Checkpoint(folder.as_uri(), "two", local_reader)


def offsets(*topics: str) -> str:
    return "v1\n" + json.dumps({topic: {"0": 0, "1": 7} for topic in topics})


@pytest.mark.parametrize(
    ("first", "topics"),
    [
        pytest.param(None, SCORING, id="a new one"),
        pytest.param(offsets("two"), SCORING, id="the same topic"),
        pytest.param(offsets("predictions", "two.dlq"), DRIFT, id="drift's topics"),
        pytest.param(offsets("predictions", "two.dlq", "more"), DRIFT, id="drift's topics and another"),
    ],
)
def test_a_query_goes_on_from_its_own_checkpoint(tmp_path: Path, first: str | None, topics: dict[str, str]) -> None:
    checkpoint(tmp_path, first).require_own(topics, "engine.checkpoint")


@pytest.mark.parametrize(
    ("first", "topics", "message"),
    [
        pytest.param(offsets("one"), SCORING, r"of 'one', but input\.topic is 'two'", id="the topic was changed"),
        pytest.param(
            offsets("predictions", "two.dlq"), SCORING, r"'predictions', 'two\.dlq', but input\.topic", id="drift's"
        ),
        pytest.param(offsets("two"), DRIFT, r"'two', but output\.predictions is", id="drift is given scoring's"),
        pytest.param(
            offsets("predictions", "one.dlq"),
            DRIFT,
            r"but output\.dead_letters is 'two\.dlq'\. Set",
            id="one of drift's two topics was changed",
        ),
    ],
)
def test_a_checkpoint_of_another_topic_is_refused_with_both_names_and_what_to_do(
    tmp_path: Path, first: str, topics: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        checkpoint(tmp_path, first).require_own(topics, "the.setting")
    assert tmp_path.as_uri() in str(refused.value)
    assert "Set the.setting to another place" in str(refused.value)


@pytest.mark.parametrize("first", ["", "v1\n", "v1\n7", "v1\n{", "v1\n[1]"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, first: str) -> None:
    with pytest.raises(ConfigurationError, match="not of a stream from Kafka"):
        checkpoint(tmp_path, first).require_own(SCORING, "engine.checkpoint")


def test_a_checkpoint_elsewhere_is_not_looked_at_before_spark_runs(tmp_path: Path) -> None:
    assert local_checkpoint("s3a://bucket/checkpoint", "two") is None
    assert local_checkpoint(tmp_path.as_uri(), "two") is not None
