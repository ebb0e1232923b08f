"""Many models in one pass: each row has what its own model's pass says, and no model harms another's events."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import columns as c
from streaming.events.columns import RESULTS
from streaming.models.routing import RoutingRule
from streaming.scoring.model_files import ModelProgram, ResidentPrograms, write_file
from tests.support.laws import examples
from tests.support.many import ManyBench, facts, many_event, records_of_values

NAMES = ("prediction", "verdict", "arm")


@pytest.fixture
def many(tmp_path: Path) -> ManyBench:
    bench = ManyBench(tmp_path)
    bench.add("churn-a", 1_000.0)
    bench.add("churn-b", 2_000.0)
    bench.add("churn-wide", 3_000.0, ("x", "y"))
    return bench


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> ManyBench:
    bench = ManyBench(tmp_path_factory.mktemp("many"))
    bench.add("churn-a", 1_000.0)
    bench.add("churn-b", 2_000.0, bounded=True)
    bench.add("churn-wide", 3_000.0, ("x", "y"))
    bench.without_program("churn-none")
    return bench


def test_each_event_is_scored_by_its_own_model_in_the_order_of_the_batch(many: ManyBench) -> None:
    values = [many_event(1, "b"), many_event(2, "a"), many_event(3, "wide", y=10.0), many_event(4, "b")]
    scored = many.routed().score(records_of_values(values))
    assert [row["prediction"] for row in facts(scored, *NAMES)] == [2001.0, 1002.0, 3013.0, 2004.0]
    assert [row["offset"] for row in facts(scored, "offset")] == [0, 1, 2, 3]
    versions = [None, *many.routed().others]
    names = [str(versions[row["arm"]]) for row in facts(scored, "arm")]
    assert names == ["churn-b v1", "churn-a v1", "churn-wide v1", "churn-b v1"]


@pytest.mark.parametrize(
    ("value", "reason", "field", "arm"),
    [
        pytest.param(many_event(1, "nobody"), "NO_MODEL", "tenant", 0, id="a value without a model"),
        pytest.param(many_event(1, "nobody", x=...), "NO_MODEL", "tenant", 0, id="nor the features of other models"),
        pytest.param(many_event(1), "NO_MODEL", "tenant", 0, id="no value"),
        pytest.param(many_event(1, 7), "WRONG_TYPE", "tenant", 0, id="a value that is no text"),
        pytest.param(many_event(1, "none"), "MODEL_NOT_LOADED", "tenant", 3, id="a model without a version"),
        pytest.param(many_event(1, "a", x="far"), "WRONG_TYPE", "x", 1, id="a wrong feature, of a known model"),
        pytest.param(many_event(1, "wide"), "MISSING_FIELD", "y", 4, id="a feature that only its own model reads"),
        pytest.param(many_event(95, "b"), "SCORING_FAILED", None, 2, id="an event that its model throws on"),
        pytest.param(b"{", "MALFORMED_JSON", None, 0, id="no JSON"),
        pytest.param(None, "TOMBSTONE", None, 0, id="no value at all"),
    ],
)
def test_an_event_that_cannot_be_scored_says_why_and_names_its_model_and_the_others_are_scored(
    shared: ManyBench, value: bytes | None, reason: str, field: str | None, arm: int
) -> None:
    scored = shared.routed().score(records_of_values([many_event(5, "a"), value, many_event(6, "b")]))
    first, second, third = facts(scored, *NAMES)
    assert (first["prediction"], third["prediction"]) == (1005.0, 2006.0)
    assert second["verdict"] == {"reason": reason, "field": field}
    assert second["arm"] == arm


def test_what_is_unknown_goes_to_the_default_model_where_there_is_one(many: ManyBench) -> None:
    by = RoutingRule("tenant", "churn-", default="churn-a", unknown_to_default=True)
    scored = many.routed(by).score(records_of_values([many_event(1, "nobody"), many_event(2), many_event(3, "b")]))
    assert [row["prediction"] for row in facts(scored, *NAMES)] == [1001.0, 1002.0, 2003.0]


tenants = st.sampled_from(["a", "b", "wide", "none", "nobody", ...])
events = st.builds(
    many_event, st.integers(0, 200), tenants, x=st.sampled_from([1.0, 95.0, "far", None, ...]), y=st.just(2.0)
)


@examples(60)
@given(values=st.lists(st.one_of(events, st.sampled_from([b"{", b"[]", None])), max_size=40))
def test_a_rows_answer_is_that_of_its_models_own_pass(shared: ManyBench, values: list[bytes | None]) -> None:
    routed = shared.routed()
    scored = routed.score(records_of_values(values)).to_pylist()
    names = ["", *(version.name for version in routed.others)]
    for value, row in zip(values, scored, strict=True):
        name = names[row[c.ARM]]
        if name not in shared.passes:
            assert row[c.VERDICT] is not None
            continue
        try:
            own = shared.passes[name].score(records_of_values([value])).to_pylist()[0]
        except Exception:
            assert row[c.VERDICT]["reason"] == "SCORING_FAILED"
            continue
        own_names = (*c.ENVELOPE, c.PREDICTION, c.PROBABILITY, c.LABEL, c.BINS)
        assert {key: row[key] for key in own_names} == {key: own[key] for key in own_names}


def test_a_model_that_throws_on_everything_costs_its_own_events_and_no_more_tries_than_are_allowed(
    shared: ManyBench,
) -> None:
    values = [many_event(100 + number, "b") for number in range(3_000)] + [many_event(1, "a")]
    scored = facts(shared.routed().score(records_of_values(values)), *NAMES)
    assert {row["verdict"]["reason"] for row in scored[:-1]} == {"SCORING_FAILED"}
    assert scored[-1]["prediction"] == 1001.0


@dataclass(frozen=True)
class BusyScorer:
    """Takes a tenth of a second of the processor for whatever it is asked."""

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        answers = [pa.nulls(events.num_rows, field.type) for field in RESULTS]
        return pa.record_batch([pa.array(np.zeros(events.num_rows)), *answers[1:]], RESULTS)


def test_a_model_that_takes_too_long_leaves_the_rest_of_its_events_and_the_others_are_scored(many: ManyBench) -> None:
    write_file(many.folder / "busy.program", ModelProgram((), BusyScorer()))
    many.renamed("churn-a", "busy.program")
    values = [many_event(number, "a") for number in range(12_000)] + [many_event(1, "b")]
    scored = facts(many.routed(model_seconds=0.15).score(records_of_values(values)), *NAMES)
    reasons = [row["verdict"] and row["verdict"]["reason"] for row in scored]
    assert reasons == [None] * 10_000 + ["SCORING_FAILED"] * 2_000 + [None]
    assert scored[-1]["prediction"] == 2001.0


def test_a_damaged_program_is_its_models_matter_and_a_folder_that_is_gone_is_the_jobs(many: ManyBench) -> None:
    (many.folder / "broken.program").write_bytes(b"not a pickle")
    many.renamed("churn-a", "broken.program")
    scored = facts(many.routed().score(records_of_values([many_event(1, "a"), many_event(2, "b")])), *NAMES)
    assert scored[0]["verdict"]["reason"] == "MODEL_NOT_LOADED"
    assert scored[1]["prediction"] == 2002.0
    many.renamed("churn-a", "gone.program")
    with pytest.raises(FileNotFoundError):
        many.routed().score(records_of_values([many_event(1, "a")]))


def test_the_pass_is_small_however_many_models_there_are_and_works_once_it_is_unpickled(shared: ManyBench) -> None:
    data = pickle.dumps(shared.routed())
    assert len(data) < 2_000
    scored = pickle.loads(data).score(records_of_values([many_event(1, "a")]))
    assert facts(scored, "prediction") == [{"prediction": 1001.0}]


def test_no_events_are_no_rows(shared: ManyBench) -> None:
    assert shared.routed().score(records_of_values([])).num_rows == 0
    assert isinstance(shared.routed().score(records_of_values([])), pa.RecordBatch)


def test_a_worker_keeps_programs_within_its_bound_and_the_least_used_go_first(many: ManyBench) -> None:
    paths = {name: str(many.folder / row.program) for name, row in many.rows.items()}
    size = max(Path(path).stat().st_size for path in paths.values())
    resident = ResidentPrograms(2 * size)
    first = resident.get(paths["churn-a"])
    resident.get(paths["churn-b"])
    assert resident.get(paths["churn-a"]) is first
    resident.get(paths["churn-wide"])
    assert (len(resident), resident.bytes <= 2 * size) == (2, True)
    assert resident.get(paths["churn-a"]) is first, "used after churn-b, so that one went"


def test_a_program_larger_than_the_bound_is_used_and_not_kept(many: ManyBench) -> None:
    resident = ResidentPrograms(10)
    assert resident.get(str(many.folder / "churn-a.program")).scorer is not None
    assert len(resident) == 0
