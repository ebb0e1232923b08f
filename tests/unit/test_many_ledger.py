"""Tables of models in the ledger: rows stand there before a plan names them, and answers name the event's model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.clock import isoformat
from streaming.engines.table_arms import TableArms
from streaming.errors import ModelNotFoundError
from streaming.ledger.answer import Facts, about_moment, about_offset
from streaming.ledger.arms import MODELS, PlannedArms
from streaming.ledger.lineage import OffsetLookup, Position
from streaming.ledger.plan import Ledger, Plan
from streaming.ledger.serving_at import Moment
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.table import ModelTable, TableRow
from streaming.offsets import OffsetRange
from streaming.outputs.read_back import Output, Stored
from streaming.testing import ManualClock
from tests.support.laws import examples
from tests.support.many import RULE

AT = "2026-11-21T11:00:00.000Z"
POSITION = Position("features", "id", 0, 7)
versions = st.builds(ModelVersion, st.text(min_size=1, max_size=6), st.integers(1, 99), st.text(max_size=4))


def table(number: int, **models: int) -> ModelTable:
    rows = [TableRow(ModelVersion(f"churn-{name}", version, f"run-{name}"), "d") for name, version in models.items()]
    return ModelTable.of(RULE, number, rows)


def records(of: ModelTable) -> list[dict[str, Any]]:
    """What a driver writes of one batch that has offsets 5 to 8."""
    arms = PlannedArms.only(of.version, MODELS)
    plan = Plan("1.1", "app", "features", "id", "checkpoint", 4, {0: OffsetRange(5, 9)}, arms, AT)
    result = {"segments": [["1.1", 5, 9]], "dead_letters": {}, "predictions": 4, "skipped": 0}
    return [
        {"type": "lease", "epoch": 1, "at": AT},
        {"type": "models", **of.record(), "at": AT},
        plan.to_dict(),
        {"type": "outcome", "plan": "1.1", "partitions": {"0": result}, "at": AT},
    ]


def made(model: str, version: int, reason: str = "") -> Output:
    stored = Stored("predictions", 0, 6, (), b"{}")
    return Output(
        "dead letter" if reason else "prediction", stored, ("features", 0, 7), "app", version, model, reason=reason
    )


def asked(output: Output | None, *written: Mapping[str, Any]) -> dict[str, Any]:
    lookup = OffsetLookup(POSITION)
    for record in written:
        lookup.add(record)
    lineage = lookup.answer(None, complete=True)
    return about_offset(Facts(position=POSITION, lineage=lineage, output=output, exists=True, end=20, written_to=9))


@examples(50)
@given(rows=st.lists(versions, max_size=5, unique_by=lambda version: version.name))
def test_a_tables_rows_are_read_back_from_its_record_and_its_plan_is_as_long_as_that_of_one_version(
    rows: list[ModelVersion],
) -> None:
    of = ModelTable.of(RULE, 12, [TableRow(row, "d") for row in rows])
    plan = records(of)[2]
    assert (
        plan.keys() == {**Plan("1", "", "", "", "", 0, {}, PlannedArms.only(ModelVersion("m", 1)), "").to_dict()}.keys()
    )
    arms = Plan.from_dict(plan).arms
    assert (arms.is_table, arms.champion.version.key) == (True, ModelKey("churn-{tenant}", 12))
    assert set(arms.with_models(of.record()).models) == {ModelVersion(r.name, r.version, r.run_id) for r in rows}
    assert arms.with_models({**of.record(), "table": 11}).models == (), "the rows of another table"


@pytest.mark.parametrize(
    ("output", "is_found", "summary", "model"),
    [
        pytest.param(made("churn-a", 3), True, "was scored by churn-a v3", "churn-a", id="a prediction"),
        pytest.param(made("churn-b", 3, "MISSING_FIELD"), True, "under churn-b v3", "churn-b", id="a dead letter"),
        pytest.param(made("", 12, "NO_MODEL"), True, "under churn-{tenant} v12", "churn-{tenant}", id="of no model"),
        pytest.param(made("churn-a", 4), False, "the ledger says table 12", None, id="a version of another table"),
        pytest.param(made("other", 3), False, "the ledger says table 12", None, id="a model of another job"),
        pytest.param(None, True, "was scored by one of table 12", None, id="its output is gone"),
    ],
)
def test_an_offset_was_scored_by_the_model_that_its_output_names_and_the_table_has(
    output: Output | None, is_found: bool, summary: str, model: str | None
) -> None:
    answer = asked(output, *records(table(12, a=3, b=3)))
    assert (answer["found"], answer.get("model")) == (is_found, model)
    assert summary in answer["summary"]
    assert answer["models"] == {"rule": "churn-{tenant}", "table": 12}


def test_where_the_rows_have_expired_the_output_alone_says_which_model_it_was() -> None:
    lease, _, *rest = records(table(12, a=3))
    answer = asked(made("churn-a", 3), lease, *rest)
    assert (answer["found"], answer["model"], answer["version"]) == (True, "churn-a", 3)


def test_at_a_moment_the_table_served_whichever_model_was_swapped_last() -> None:
    clock = ManualClock()
    moment = Moment(clock())
    swap = {"type": "swap", "model": "churn-a", "to_version": 3, "at": AT}
    for record in (*records(table(12, a=3)), swap):
        moment.add({**record, "at": isoformat(clock())})
    assert "churn-{tenant} v12 served" in about_moment(moment, AT)["summary"]


@dataclass
class TableBooks:
    """The ledger's records of tables, and what asks for tables that are not in the slot."""

    tables: dict[ModelKey, ModelTable] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    recalls: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    above: int = 0

    def recent(self) -> list[Plan]:
        return self.plans

    def begin_above(self, number: int) -> None:
        self.above = number

    def record_models(self, record: Mapping[str, Any]) -> None:
        self.written.append(record["table"])

    def models(self, number: int) -> Mapping[str, Any] | None:
        return next(
            (of.record() for of in self.tables.values() if of.number == number and number in self.written), None
        )

    def record(self, key: ModelKey) -> Mapping[str, Any]:
        return self.tables[key].record()

    def recalled(self, record: Mapping[str, Any]) -> ServedModel:
        self.recalls.append(record["table"])
        return cast(ServedModel, Recalled(ModelKey(record["models"], record["table"])))

    def release(self, model: ServedModel) -> None:
        self.released.append(model.key.version)


@dataclass(frozen=True)
class Recalled:
    """As much of a served table as its holder looks at."""

    key: ModelKey


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def books() -> TableBooks:
    first, second = table(1, a=1), table(2, a=2)
    return TableBooks({of.version.key: of for of in (first, second)})


@pytest.fixture
def arms(books: TableBooks, clock: ManualClock) -> TableArms:
    return TableArms(cast(Ledger, books), books, clock)


def test_a_tables_rows_are_written_before_its_first_plan_and_again_after_a_day(
    arms: TableArms, books: TableBooks, clock: ManualClock
) -> None:
    first, second = (of.version for of in books.tables.values())
    for version in (first, first, second, second):
        planned = arms.planned(version, frozenset())
        assert (planned.is_table, planned.champion.version) == (True, version)
    assert books.written == [1, 2]
    clock.advance(24 * 3_600)
    arms.planned(second, frozenset())
    assert books.written == [1, 2, 2]


def test_a_batch_that_is_tried_again_has_its_table_loaded_once_and_released_when_the_next_is_planned(
    arms: TableArms, books: TableBooks
) -> None:
    first, second = (of.version for of in books.tables.values())
    arms.planned(first, frozenset())
    assert arms.loaded(first.key) is arms.loaded(first.key)
    assert (books.recalls, books.released) == ([1], [])
    arms.planned(second, frozenset())
    assert books.released == [1]


def test_tables_begin_above_the_number_of_any_that_was_planned(books: TableBooks, clock: ManualClock) -> None:
    books.plans = [Plan.from_dict(records(table(number, a=1))[2]) for number in (7, 12, 9)]
    TableArms(cast(Ledger, books), books, clock)
    assert books.above == 12


def test_a_table_that_the_ledger_has_forgotten_stops_the_job(arms: TableArms) -> None:
    with pytest.raises(ModelNotFoundError, match="ledger_retention_ms"):
        arms.loaded(ModelKey("churn-{tenant}", 9))
