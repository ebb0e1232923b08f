"""What ``penstock ledger`` answers and shows, from facts that no broker has to give."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from jobs.verbs.ledger.display import describe, show_answer
from schemas import dead_letter, prediction
from streaming.clock import instant
from streaming.ledger.answer import Facts, about_moment, about_offset
from streaming.ledger.arms import PlannedArms
from streaming.ledger.lineage import Certainty, Fate, Lineage, Position
from streaming.ledger.plan import Plan
from streaming.ledger.serving_at import Moment
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.read_back import Output, Stored, read_output

AT = "2026-11-21T11:00:00.000Z"
POSITION = Position("features", "id", 0, 7)


def plan(name: str, version: int, at: str = AT) -> Plan:
    model = ModelVersion("flights", version, f"run{version}")
    return Plan(name, "app", "features", "id", "checkpoint", 4, {0: OffsetRange(5, 9)}, PlannedArms.only(model), at)


def output(version: int, reason: str = "") -> Output:
    source = ("features", 0, 7)
    record = Stored("predictions", 0, 6, (), b"{}")
    return Output("dead letter" if reason else "prediction", record, source, "app", version, reason=reason)


def answer(lineage: Lineage, made: Output | None = None, exists: bool | None = True) -> dict[str, Any]:
    return about_offset(Facts(POSITION, lineage, made, exists, end=20, written_to=5))


RECORDED = Lineage(Fate.WRITTEN, plan("3.1", 2), Certainty.RECORDED)
PLANNED = Lineage(Fate.WRITTEN, plan("3.2", 3), Certainty.PLANNED, others=(plan("3.1", 2),))
SKIP = {"reason": "retention", "actor": "operator", "at": AT}


@pytest.mark.parametrize(
    ("lineage", "made", "exists", "expected"),
    [
        pytest.param(RECORDED, output(2), True, (True, "written", "was scored by flights v2."), id="scored"),
        pytest.param(
            RECORDED,
            output(2, "MISSING_FIELD"),
            True,
            (True, "written", "(MISSING_FIELD) under flights v2."),
            id="dead",
        ),
        pytest.param(RECORDED, None, None, (True, "written", "not on its topic any more."), id="its output is gone"),
        pytest.param(RECORDED, None, False, (False, "no_event", "compacted away."), id="no event"),
        pytest.param(RECORDED, output(1), True, (False, "contradiction", "says version 1."), id="contradiction"),
        pytest.param(
            Lineage(Fate.SKIPPED, skip=SKIP),
            None,
            None,
            (False, "skipped", f"by operator at {AT}: retention."),
            id="skipped",
        ),
        pytest.param(Lineage(Fate.PENDING), None, True, (False, "pending", "has written up to 5."), id="pending"),
    ],
)
def test_an_answer_in_one_sentence(
    lineage: Lineage, made: Output | None, exists: bool | None, expected: tuple[bool, str, str]
) -> None:
    reported = answer(lineage, made, exists)
    assert (reported["found"], reported["fate"]) == expected[:2]
    assert reported["summary"].startswith("features, partition 0, offset 7")
    assert reported["summary"].endswith(expected[2])


def test_of_two_plans_the_output_names_the_right_one() -> None:
    settled, open_ = answer(PLANNED, output(2)), answer(PLANNED)
    assert (settled["version"], settled["plan"]["id"], "others" in settled) == (2, "3.1", False)
    assert (open_["version"], open_["others"]) == (3, [{"plan": "3.1", "version": 2}])


def moment(*records: dict[str, Any]) -> dict[str, Any]:
    result = Moment(instant("2026-11-21T11:00:30Z"))
    for record in records:
        result.add(record)
    return about_moment(result, "then")


SWAP = {"type": "swap", "at": AT, "model": "flights", "to_version": 2, "run_id": "run2", "actor": "follower"}
BEFORE, AFTER = plan("1.1", 2).to_dict(), plan("1.2", 3, "2026-11-21T11:01:00.000Z").to_dict()
LATER_SWAP = {**SWAP, "to_version": 3, "at": "2026-11-21T11:00:59.000Z"}


@pytest.mark.parametrize(
    ("records", "version", "plans"),
    [
        pytest.param([SWAP, BEFORE, LATER_SWAP, AFTER], 2, ["1.1", "1.2"], id="between two swaps"),
        pytest.param([{**SWAP, "type": "rollback", "to_version": 1}, BEFORE], 1, ["1.1"], id="after a rollback"),
        pytest.param([BEFORE, AFTER], 2, ["1.1", "1.2"], id="no swap is known"),
        pytest.param([LATER_SWAP, AFTER], None, ["1.2"], id="before all that is known"),
        pytest.param([], None, [], id="nothing is known"),
    ],
)
def test_what_served_at_a_moment(records: list[dict[str, Any]], version: int | None, plans: list[str]) -> None:
    reported = moment(*records)
    assert (reported["found"], reported.get("version")) == (version is not None, version)
    assert [reported[name]["plan"]["id"] for name in ("before", "after") if name in reported] == plans


def test_the_outcome_of_the_plan_before_is_told_even_if_it_came_after() -> None:
    reported = moment(BEFORE, {"type": "outcome", "plan": "1.1", "at": "2026-11-21T11:00:40.000Z"})
    assert reported["before"]["recorded"] == {"at": "2026-11-21T11:00:40.000Z"}


PREDICTION = {
    prediction.CE_SOURCE: "/penstock/app/flights",
    prediction.MODEL_NAME: "flights",
    prediction.MODEL_VERSION: "2",
    prediction.RUN_ID: "run2",
    prediction.SOURCE_TOPIC: "features",
    prediction.SOURCE_PARTITION: "0",
    prediction.SOURCE_OFFSET: "7",
}
LETTER = {
    dead_letter.ERROR_CONNECTOR: "app",
    dead_letter.ERROR_TOPIC: "features",
    dead_letter.ERROR_PARTITION: "0",
    dead_letter.ERROR_OFFSET: "7",
    dead_letter.MODEL_VERSION: "2",
    dead_letter.REASON: "WRONG_TYPE",
    dead_letter.REJECTED_AT: AT,
}


def stored(headers: dict[str, str], value: object, *own: tuple[str, bytes | None]) -> Stored:
    words = [*own, *((name, word.encode()) for name, word in headers.items())]
    return Stored("t", 0, 0, words, None if value is None else json.dumps(value).encode())


@pytest.mark.parametrize(
    ("record", "kind", "event_id", "made_at"),
    [
        pytest.param(stored(PREDICTION, {"event_id": "e7", "scored_at": AT}), "prediction", "e7", AT, id="prediction"),
        pytest.param(stored(LETTER, {"id": 7}, ("x", None)), "dead letter", "7", AT, id="dead letter"),
        pytest.param(stored(LETTER, None), "dead letter", None, AT, id="tombstone"),
        pytest.param(stored(LETTER, [1]), "dead letter", None, AT, id="not an object"),
        pytest.param(
            stored(LETTER, {}, (dead_letter.ERROR_OFFSET, b"1")), "dead letter", None, AT, id="a letter's letter"
        ),
    ],
)
def test_an_output_tells_what_it_answers(record: Stored, kind: str, event_id: str | None, made_at: str) -> None:
    result = read_output(record)
    assert result is not None
    assert (result.kind, result.source, result.application, result.version) == (kind, ("features", 0, 7), "app", 2)
    assert (result.event_id("id"), result.made_at) == (event_id, made_at)


@pytest.mark.parametrize("name", PREDICTION)
def test_what_lacks_a_header_of_ours_is_not_an_output(name: str) -> None:
    assert read_output(stored({key: word for key, word in PREDICTION.items() if key != name}, {})) is None


@pytest.mark.parametrize(
    ("record", "line"),
    [
        pytest.param(plan("3.1", 2).to_dict(), "3.1: flights v2 scores batch 4, 0: 5 to 8", id="plan"),
        pytest.param(
            {
                "type": "outcome",
                "plan": "3.1",
                "partitions": {"0": {"predictions": 3, "dead_letters": {"X": 1}, "skipped": 2}},
            },
            "3.1: 3 predictions, 1 dead letters, 2 written before",
            id="outcome",
        ),
        pytest.param({"type": "skip", "gaps": {"0": [5, 9]}, **SKIP}, "0: 5 to 8: retention (operator)", id="skip"),
        pytest.param({**SWAP, "from_version": 1}, "v1 to v2, by follower", id="swap"),
        pytest.param(
            {
                "type": "refusal",
                "from_version": 1,
                "to_version": 2,
                "actor": "follower",
                "reason": "WRONG",
                "detail": "x",
            },
            "v1 to v2, by follower, WRONG, x",
            id="refusal",
        ),
        pytest.param({"type": "something new", "reason": "why"}, "why", id="what is not known yet"),
    ],
)
def test_a_record_in_a_line(record: dict[str, Any], line: str) -> None:
    assert describe(record) == line


def test_an_answer_is_shown_with_all_that_is_known() -> None:
    console = Console(width=100, record=True, file=StringIO())
    recorded = Lineage(Fate.WRITTEN, plan("3.1", 2), Certainty.RECORDED, recorded_at=AT, epoch=3)
    show_answer(console, {**answer(recorded, output(2)), "data_digest": "sha256:abc"})
    assert [line.split() for line in console.export_text().splitlines()[1:]] == [
        ["version", "flights", "v2"],
        ["run", "run2"],
        ["data", "sha256:abc"],
        ["plan", "3.1,", f"{AT},", "lease", "epoch", "3"],
        ["batch", "4", "of", "checkpoint", "checkpoint"],
        ["known", "by", "recorded"],
        ["recorded", f"{AT},", "lease", "epoch", "3"],
        ["prediction", "predictions,", "partition", "0,", "offset", "6"],
    ]
