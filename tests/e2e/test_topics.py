from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.commands import penstock
from tests.support.kafka import MakeTopic


@pytest.mark.long
def test_topics_are_shown_then_made_and_the_second_time_left_alone(broker: str) -> None:
    name = f"flow-{uuid4().hex[:8]}"
    arguments = ["topics", "--set", f"kafka.bootstrap.servers={broker}", "--set", f"input.topic={name}"]
    arguments += [
        item for key in ("predictions", "ledger", "progress") for item in ("--set", f"output.{key}={name}-{key}")
    ]
    arguments += ["--set", f"output.model_events={name}-models"]

    shown = penstock(*arguments)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("missing") == 6

    made = penstock(*arguments, "--create", "--partitions", "3")
    assert made.returncode == 0, made.stderr
    assert "missing" not in made.stdout
    partitions = {line.split()[0]: line.split()[-1] for line in made.stdout.splitlines()[1:]}
    assert partitions == {
        name: "3",
        f"{name}-predictions": "3",
        f"{name}.dlq": "3",
        f"{name}-models": "1",
        f"{name}-ledger": "1",
        f"{name}-progress": "3",
    }

    assert penstock(*arguments, "--create", "--partitions", "9").stdout == made.stdout


def test_a_ledger_with_several_partitions_is_refused(make_topic: MakeTopic, broker: str) -> None:
    given = [f"kafka.bootstrap.servers={broker}", f"input.topic={make_topic()}"]
    given += [f"output.{name}={make_topic()}" for name in ("predictions", "model_events", "ledger", "progress")]
    done = penstock("topics", "--create", *(item for setting in given for item in ("--set", setting)))
    assert done.returncode == 2
    assert "has 2 partitions" in done.stderr


@pytest.mark.long
def test_a_broker_that_is_not_there_is_one_message() -> None:
    done = penstock("topics", "--set", "kafka.bootstrap.servers=127.0.0.1:1")
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
