"""A server that looks columns up: the stream's answers for the same table, marks, and what it says without a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from jobs.wiring.serving_lookup import _own_folder, require_lookup_servable
from schemas.dead_letter import Rejection
from streaming.errors import BrokerUnavailableError, ConfigurationError
from streaming.lookup.followed import FollowedTopic, TableFollower
from streaming.lookup.join import TableLookup
from streaming.lookup.table_source import TableChunk
from streaming.lookup_state import LookupState
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.served import ServedModel
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Target
from streaming.serving.answer_rows import AnswerRows
from streaming.serving.passes import MOST_SINGLY
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import EventSettings, LookupSettings, Settings
from streaming.testing import ManualClock
from tests.support.eventually import eventually
from tests.support.lookups import COLUMNS, MemorySource, bonus_model, lookup_event
from tests.support.many import RECORDS
from tests.support.servers import ServerBench, a_bench
from tests.unit.test_serving_log import MemorySink
from tests.unit.test_serving_score import fields, listed, without_own

NOW_MS = round(ManualClock()().timestamp() * 1_000)
KEYED = EventSettings(key="who")
JSON = {"content-type": "application/json"}


@dataclass
class Scene:
    """A server over a table in memory, whose topic is looked at when the test says so."""

    folder: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    source: MemorySource = field(default_factory=MemorySource)
    clock: ManualClock = field(default_factory=ManualClock)
    topic_id: str = "id"
    problem: str = ""
    envelope: EventSettings = field(default_factory=EventSettings)

    def __post_init__(self) -> None:
        fields_set = {"topic": "t", "columns": COLUMNS, "key": "who", "time_to_live_seconds": 30, **self.changes}
        self.settings = LookupSettings.model_validate({**fields_set, "folder": self.folder / "served"})
        self.metrics = ServerMetrics(self.clock)
        self.metrics.with_lookups()
        self.table = TableFollower(FollowedTopic(self.settings, self.ask, self.source, self.metrics, self.clock))
        own = TableLookup(self.settings, self.envelope, self.source, self.table.entries)
        self.model = bonus_model(self.folder / "model", own, singly=True)

    def ask(self) -> LookupState:
        if self.problem:
            raise BrokerUnavailableError(self.problem)
        return LookupState(self.topic_id, self.source.ends(), 0)

    @contextmanager
    def server(self, model: ServedModel | None = None, **parts: Any) -> Iterator[ServerBench]:
        try:
            with a_bench(model or self.model, clock=self.clock, table=self.table, **parts) as bench:
                yield bench
        finally:
            self.table.stop()

    def of_the_stream(self, values: list[bytes]) -> list[tuple[dict[str, bytes] | Rejection, str | None, int | None]]:
        """What the exact engine writes for the same events and table, each with standing and age."""
        settings = self.settings.model_copy(update={"folder": self.folder / "stream"})
        row_pass = bonus_model(self.folder / "of-stream", TableLookup(settings, self.envelope, self.source)).row_pass
        assert row_pass is not None
        rows = [
            {"value": value, "partition": 0, "offset": at, "timestamp": 0, "headers": []}
            for at, value in enumerate(values)
        ]
        state = LookupState(self.topic_id, self.source.ends(), round(self.clock().timestamp() * 1_000))
        scored = row_pass.score(pa.RecordBatch.from_pylist(rows, RECORDS), state)
        stamp = Stamp("features", self.model.version, "champion", "2020-01-01T00:00:00.000Z")
        return [
            (Rejection(row["reason"], row["field"]), None, None)
            if row["reason"]
            else (fields(row["value"]), row["lookup"], row["lookup_age"])
            for row in enveloped_rows(scored, [stamp]).to_pylist()
        ]


def filled(scene: Scene) -> Scene:
    """Put a record for each standing into the table, and look at it."""
    source = scene.source
    source.put("fresh", {"bonus": 5}, timestamp=NOW_MS - 1_000)
    source.put("old", {"bonus": 6.25}, timestamp=NOW_MS - 60_000)
    source.put("broken", b"{", timestamp=NOW_MS)
    source.put("empty", {}, timestamp=NOW_MS)
    source.put("gone", {"bonus": 9.0})
    source.put("gone", None)
    scene.table.look()
    return scene


WHO = ["fresh", "old", "broken", "empty", "gone", "nobody", None]
CHOICES = [
    pytest.param({}, id="marked"),
    pytest.param({"stale": "default"}, id="stale ones get defaults"),
    pytest.param({"stale": "dead_letter", "missing": "dead_letter"}, id="rejected"),
    pytest.param({"columns": {"bonus": {"type": "double"}}}, id="no default for a required column"),
]


def events_of(number: int) -> list[bytes]:
    """Events for every kind of key in turn, some of them malformed."""
    return [
        lookup_event(at, who=WHO[at % len(WHO)], x=... if at % 11 == 10 else float(at), bonus=77.0)
        for at in range(number)
    ]


def marked(item: dict[str, bytes]) -> tuple[dict[str, bytes] | Rejection, str | None, int | None]:
    """An answer's item in a list, its marks apart."""
    if "rejected" in item:
        rejected = msgspec.json.decode(item["rejected"])
        return Rejection(rejected["reason"], rejected["field"]), None, None
    age = msgspec.json.decode(item.pop("lookup_age_ms"))
    return item, msgspec.json.decode(item.pop("lookup")), age


@pytest.mark.parametrize("changes", CHOICES)
@pytest.mark.parametrize("envelope", [EventSettings(), KEYED], ids=["a field", "the event's key"])
def test_answers_are_the_streams_to_the_byte_for_the_same_table(
    tmp_path: Path, changes: dict[str, Any], envelope: EventSettings
) -> None:
    scene = filled(Scene(tmp_path, changes, envelope=envelope))
    values = events_of(10 * MOST_SINGLY)
    expected = [(without_own(answer), *marks) for answer, *marks in scene.of_the_stream(values)]
    with scene.server() as bench:
        together = listed(bench.score(b"[" + b",".join(values) + b"]"))
        parts = [bench.score(b"[" + b",".join(values[at : at + 20]) + b"]") for at in range(0, len(values), 20)]
        alone = [bench.score(value) for value in values[: len(WHO)]]
    few = [item for part in parts for item in listed(part)]
    for items in (together, few):
        assert [(without_own(answer), *marks) for answer, *marks in map(marked, items)] == expected
    for answer, (value, standing, age) in zip(alone, expected, strict=False):
        if isinstance(value, Rejection):
            assert (answer.status_code, answer.json()["reason"], answer.json()["field"]) == (422, *value)
        else:
            assert without_own(fields(answer.content)) == value
        assert answer.headers.get("penstock-lookup") == standing
        assert answer.headers.get("penstock-lookup-age-ms") == (None if age is None else str(age))


def test_single_events_need_no_pass_over_a_batch(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    row_pass = scene.model.row_pass
    state = scene.table.state(scene.clock())
    assert row_pass.single(lookup_event(1, who="fresh"), state).answer.prediction == 1_006.0  # type: ignore[union-attr]
    scene.table.stop()


def test_a_list_says_of_each_event_what_became_of_its_lookup_and_in_the_header_what_occurs(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    with scene.server() as bench:
        answer = bench.score([json.loads(lookup_event(n, who=who)) for n, who in enumerate(["fresh", "old", "nobody"])])
    items = answer.json()
    assert [(item["lookup"], item["lookup_age_ms"]) for item in items] == [
        ("fresh", 1_000),
        ("stale", 60_000),
        ("missing", None),
    ]
    assert answer.headers["penstock-lookup"] == "fresh, missing, stale"


def prediction_of(bench: ServerBench, who: str) -> float:
    prediction: float = bench.score(lookup_event(0, who=who)).json()["prediction"]
    return prediction


@pytest.mark.parametrize("between", [1, 2, 3_000], ids=["one record", "two looks", "more than are looked at"])
def test_a_record_is_seen_from_the_next_look_on_and_others_stay_in_memory(tmp_path: Path, between: int) -> None:
    scene = Scene(tmp_path, source=MemorySource(most=1_000))
    scene.source.put("a", {"bonus": 1.0}, timestamp=NOW_MS)
    scene.source.put("b", {"bonus": 2.0}, timestamp=NOW_MS)
    scene.table.look()
    with scene.server() as bench:
        assert (prediction_of(bench, "a"), prediction_of(bench, "b")) == (1_001.0, 1_002.0)
        for number in range(between):
            scene.source.put("a" if number == 0 else f"other{number}", {"bonus": 10.0}, timestamp=NOW_MS)
            if between == 2:
                scene.table.look()
        assert between == 2 or prediction_of(bench, "a") == 1_001.0
        scene.table.look()
        assert (prediction_of(bench, "a"), prediction_of(bench, "b")) == (1_010.0, 1_002.0)
        scene.source.put("a", None)
        scene.table.look()
        assert prediction_of(bench, "a") == 999.0


def test_a_reader_whose_state_is_gone_from_the_file_takes_the_newest(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.source.put("a", {"bonus": 1.0})
    scene.table.look()
    state = scene.table.state(scene.clock())
    for bonus in (2.0, 3.0, 4.0):
        scene.source.put("a", {"bonus": bonus})
        scene.table.look()
    (entry,) = scene.table.entries([b"a"], state)
    assert entry is not None
    assert entry.values == (4.0,)
    scene.table.stop()


def test_a_topic_that_was_made_anew_has_another_table(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.source.put("a", {"bonus": 1.0}, timestamp=NOW_MS)
    scene.table.look()
    with scene.server() as bench:
        assert prediction_of(bench, "a") == 1_001.0
        scene.source.records.clear()
        scene.source.put("a", {"bonus": 2.0}, timestamp=NOW_MS)
        scene.topic_id = "another"
        scene.table.look()
        assert prediction_of(bench, "a") == 1_002.0


def failing(scene: Scene, problem: str) -> None:
    """Let a look fail, as the follower's thread would see it."""
    scene.problem = problem
    scene.table._looked()


def test_until_the_table_is_read_to_its_end_nothing_is_answered_and_the_server_is_not_ready(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.source.put("fresh", {"bonus": 5}, timestamp=NOW_MS)
    with scene.server() as bench:
        refused = bench.score(lookup_event(1, who="fresh"))
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:penstock:problem:no-lookup")
        assert refused.headers["retry-after"] == "1"
        ready = bench.ask("GET", "/ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["the lookup table is not read to its end yet"])
        scene.table.look()
        assert bench.ask("GET", "/ready").status_code == 200
        assert prediction_of(bench, "fresh") == 1_005.0


OUTAGES = [
    pytest.param("default", 200, "unavailable", id="defaults"),
    pytest.param("dead_letter", 422, None, id="rejected"),
    pytest.param("hold", 503, None, id="held"),
]


@pytest.mark.parametrize(("choice", "status", "standing"), OUTAGES)
def test_in_an_outage_the_last_state_counts_for_its_bound_and_then_what_the_settings_say(
    tmp_path: Path, choice: str, status: int, standing: str | None
) -> None:
    scene = filled(Scene(tmp_path, {"unavailable": choice}))
    with scene.server() as bench:
        failing(scene, "no answer")
        assert bench.score(lookup_event(1, who="fresh")).headers["penstock-lookup"] == "fresh"
        assert bench.ask("GET", "/health").json()["lookup"]["problem"] == "no answer"
        scene.clock.advance(31)
        answer = bench.score(lookup_event(1, who="fresh"))
        assert (answer.status_code, answer.headers.get("penstock-lookup")) == (status, standing)
        assert bench.ask("GET", "/ready").status_code == (503 if choice == "hold" else 200)
        scene.problem = ""
        scene.table.look()
        assert bench.score(lookup_event(1, who="fresh")).headers["penstock-lookup"] == "stale"
        assert bench.ask("GET", "/health").json()["lookup"]["problem"] is None


def test_a_server_that_starts_in_an_outage_answers_by_the_settings_once_the_bound_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.server() as bench:
        failing(scene, "no answer")
        assert bench.score(lookup_event(1, who="a")).status_code == 503
        assert "no answer" in bench.ask("GET", "/ready").json()["reasons"][0]
        scene.clock.advance(31)
        assert bench.score(lookup_event(1, who="a")).headers["penstock-lookup"] == "unavailable"
        assert bench.ask("GET", "/ready").status_code == 200


def test_a_topic_that_gives_nothing_more_is_trouble(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {"catch_up_seconds": 0.01})
    scene.source.put("a", {"bonus": 1.0})
    scene.source.chunk = lambda positions, ends, seconds: no_records(positions)  # type: ignore[method-assign]
    scene.table._looked()
    assert "no record of the lookup table came for 0.01 s" in scene.table.standing()["problem"]
    scene.table.stop()


def no_records(positions: Sequence[int]) -> TableChunk:
    return TableChunk([], tuple(positions))


@pytest.mark.parametrize("fault", [BrokerUnavailableError("away"), RuntimeError("a surprise")])
def test_the_thread_outlives_what_goes_wrong_and_follows_on(tmp_path: Path, fault: Exception) -> None:
    scene = Scene(tmp_path)
    scene.source.put("a", {"bonus": 1.0})
    faults = [fault]

    def ask() -> LookupState:
        if faults:
            raise faults.pop()
        return LookupState("id", scene.source.ends(), 0)

    table = TableFollower(FollowedTopic(scene.settings, ask, scene.source, scene.metrics, scene.clock))
    table.start(10)
    assert table.standing()["problem"] is not None
    scene.clock.advance(3)
    eventually(lambda: table.standing()["offsets"] == [1])
    table.stop()


ROWS = [
    pytest.param({"x": 1.0, "bonus": 70.0}, 1_071.0, None, id="a given column counts"),
    pytest.param({"x": 1.0, "bonus": 70.0, "who": "fresh"}, 1_071.0, None, id="also beside a key"),
    pytest.param({"x": 1.0, "who": "fresh"}, 1_006.0, "fresh", id="a lacking one is looked up"),
    pytest.param({"x": 1.0, "bonus": None, "who": "old"}, 1_007.25, "stale", id="null is lacking"),
    pytest.param({"x": 1.0}, 1_000.0, "missing", id="without a key"),
]


@pytest.mark.parametrize(("row", "prediction", "standing"), ROWS)
@pytest.mark.parametrize("envelope", [EventSettings(), KEYED], ids=["a field", "the event's key"])
def test_a_row_of_mlflows_protocol_is_scored_as_given_or_looked_up_by_its_key(
    tmp_path: Path, row: dict[str, Any], prediction: float, standing: str | None, envelope: EventSettings
) -> None:
    scene = filled(Scene(tmp_path, envelope=envelope))
    with scene.server() as bench:
        answer = bench.ask("POST", "/invocations", json={"dataframe_records": [row]})
        assert answer.json() == {"predictions": [prediction]}
        assert answer.headers.get("penstock-lookup") == standing


def test_rows_of_both_kinds_keep_their_order_and_a_wrong_one_fails_the_request(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path, {"missing": "dead_letter"}))
    rows = [{"x": float(n), **({"bonus": 100.0} if n % 2 else {"who": "fresh"})} for n in range(80)]
    with scene.server() as bench:
        answer = bench.ask("POST", "/invocations", json={"dataframe_records": rows})
        expected = [1_000.0 + n + (100.0 if n % 2 else 5.0) for n in range(80)]
        assert answer.json() == {"predictions": expected}
        wrong = bench.ask("POST", "/invocations", json={"dataframe_records": [*rows, {"x": 1.0, "who": "nobody"}]})
        assert (wrong.status_code, "row 80" in wrong.json()["message"]) == (400, True)
        assert "MISSING_LOOKUP" in wrong.json()["message"]
        broken = bench.ask("POST", "/invocations", content=b'{"dataframe_records": [7]}', headers=JSON)
        assert broken.status_code == 400


def test_csv_and_the_open_inference_protocol_take_the_key_as_a_column(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    tensors = [
        {"name": "x", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]},
        {"name": "who", "datatype": "BYTES", "shape": [2], "data": ["fresh", "nobody"]},
    ]
    with scene.server() as bench:
        of_csv = bench.ask("POST", "/invocations", content=b"x,who\n1,fresh\n", headers={"content-type": "text/csv"})
        assert of_csv.json() == {"predictions": [1_006.0]}
        inferred = bench.ask("POST", "/v2/models/bonuses/infer", json={"inputs": tensors})
        assert inferred.json()["outputs"][0]["data"] == [1_006.0, 1_001.0]
        assert inferred.headers["penstock-lookup"] == "fresh, missing"


def test_lookups_are_on_the_metrics(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    scene.table.followed.observer.lookup_seen("", is_open=False)
    with scene.server() as bench:
        for who in ("fresh", "fresh", "nobody"):
            bench.score(lookup_event(1, who=who))
        bench.ask("POST", "/invocations", json={"dataframe_records": [{"x": 1.0, "who": "old"}]})
        text = bench.ask("GET", "/metrics").text
    for line in (
        'penstock_lookup_events_total{standing="fresh"} 2.0',
        'penstock_lookup_events_total{standing="missing"} 1.0',
        'penstock_lookup_events_total{standing="stale"} 1.0',
        'penstock_lookup_cache_total{result="hit"} 1.0',
        'penstock_lookup_cache_total{result="miss"} 3.0',
        "penstock_lookup_age_seconds_count 3.0",
        "penstock_lookup_age_seconds_sum 62.0",
    ):
        assert line in text
    assert scene.metrics.registry.get_sample_value("penstock_lookup_available") == 1
    read_at = scene.metrics.registry.get_sample_value("penstock_lookup_read_timestamp_seconds")
    assert read_at == NOW_MS / 1_000


def test_the_openapi_document_asks_for_the_key_and_not_for_what_is_looked_up(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    with scene.server() as bench:
        event = bench.ask("GET", "/openapi.json").json()["components"]["schemas"]["Event"]
    assert ("who" in event["properties"], "bonus" in event["properties"]) == (True, False)


def test_a_logged_answer_has_the_marks_and_bins_of_what_its_event_was_given_then(tmp_path: Path) -> None:
    scene = filled(Scene(tmp_path))
    profile = ReferenceProfile((ColumnProfile("bonus", "numeric", {}, edges=(0.0, 5.5)),), rows=10)
    model = replace(scene.model, package=replace(scene.model.package, profile=profile))
    assert model.row_pass is not None
    model = replace(model, row_pass=replace(model.row_pass, package=model.package))  # type: ignore[type-var]
    sinks: list[MemorySink] = []

    def opened(_: Any, metrics: ServerMetrics) -> MemorySink:
        sinks.append(MemorySink(metrics))
        return sinks[-1]

    with scene.server(model, sink=opened) as bench:
        assert bench.log is not None
        bench.log.start()
        bench.score([json.loads(lookup_event(n, who=who)) for n, who in enumerate(("fresh", "old", "nobody"))])
        bench.score(lookup_event(4, who="fresh", x=...))
        scene.source.put("fresh", {"bonus": 500.0})
        scene.table.look()
        bench.log.stop(5.0)
        rows = AnswerRows("http-test", bench.passes.numbers, Target("served", 1, 1 << 20))
        (stamped,) = rows.of(sinks[0].requests)
    names = ("reason", "lookup", "lookup_age", "bins")
    assert [tuple(row[name] for name in names) for row in stamped.rows.to_pylist()] == [
        (None, "fresh", 1_000, bytes([1])),
        (None, "stale", 60_000, bytes([2])),
        (None, "missing", None, bytes([0])),
        ("MISSING_FIELD", None, None, stamped.rows.to_pylist()[3]["bins"]),
    ]


REFUSED = [
    pytest.param({"serve": {"spark": True}}, "serve.spark does not go", id="Spark"),
    pytest.param({"serve": {"rollout": True}}, "serve.rollout does not go", id="rollout"),
    pytest.param({"event": {"key": None}}, "name a field in lookup.key or event.key", id="no key"),
    pytest.param(
        {"lookup": {"redis": {"url": "redis://127.0.0.1/0"}, "columns": COLUMNS}},
        "set lookup.topic instead",
        id="Redis",
    ),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_a_server_cannot_do_beside_a_lookup_is_refused(changes: dict[str, Any], words: str) -> None:
    settings = {"lookup": {"topic": "t", "columns": COLUMNS}, "event": {"key": "who"}, **changes}
    with pytest.raises(ConfigurationError, match=words):
        require_lookup_servable(Settings.model_validate(settings))


def test_each_process_has_a_folder_of_its_own_and_the_next_one_takes_it_over(tmp_path: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        assert _own_folder(tmp_path, first).name == "serve-0"
        assert _own_folder(tmp_path, second).name == "serve-1"
        first.close()
        with ExitStack() as third:
            assert _own_folder(tmp_path, third).name == "serve-0"
