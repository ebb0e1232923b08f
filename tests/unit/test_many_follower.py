"""Following many models: one search for all, versions loaded beside each other, and tables that are swapped whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.model_event import EventType
from streaming.errors import CandidateRefusedError, ConfigurationError, ModelNotFoundError, RegistryUnavailableError
from streaming.models.cache import ModelCache
from streaming.models.heritage import Heritage
from streaming.models.ref import ModelKey
from streaming.testing import ManualClock
from tests.support.eventually import eventually
from tests.support.many import facts, many_event, records_of_values
from tests.support.many_registry import ManyHouse, ShelfRegistry, pass_of


@pytest.fixture
def registry(tmp_path: Path) -> ShelfRegistry:
    registry = ShelfRegistry(tmp_path / "registry")
    registry.register("churn-a", 1_000.0)
    registry.register("churn-b", 2_000.0)
    registry.register("other", 9.0)
    return registry


@pytest.fixture
def house(registry: ShelfRegistry, tmp_path: Path) -> Iterator[ManyHouse]:
    house = ManyHouse(registry, tmp_path / "home")
    yield house
    house.close()


def settle(house: ManyHouse) -> None:
    """Poll, and wait until nothing is being loaded."""
    house.clock.advance(1)
    house.follower.poll()
    eventually(lambda: not house.follower.settle())


def scored(house: ManyHouse, *values: bytes) -> list[float | None]:
    return [row["prediction"] for row in facts(house.row_pass.score(records_of_values(values)), "prediction")]


def test_one_search_names_the_versions_of_all_models_of_the_rule(house: ManyHouse, registry: ShelfRegistry) -> None:
    house.follower.load_first()
    assert registry.searches == [("churn-", "champion")]
    assert house.versions == {"churn-a": 1, "churn-b": 1}
    assert scored(house, many_event(1, "a"), many_event(2, "b")) == [1001.0, 2002.0]
    assert sorted(event.model for event in house.sink.events) == ["churn-a", "churn-b"]


def test_only_the_model_that_moved_is_loaded_again_and_the_table_is_swapped(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    first = house.slot.current()
    registry.register("churn-b", 2_500.0)
    settle(house)
    assert registry.downloads[2:] == ["churn-b/2"]
    assert house.versions == {"churn-a": 1, "churn-b": 2}
    assert scored(house, many_event(1, "a"), many_event(2, "b")) == [1001.0, 2502.0]
    assert first is not None
    assert house.slot.current() is not first
    swap = house.sink.events[-1]
    assert (swap.type, swap.model, swap.from_version, swap.to_version) == (EventType.SWAP, "churn-b", 1, 2)
    assert house.tables[-1].number > house.tables[-2].number


def test_a_table_gets_a_higher_number_than_those_of_earlier_drivers_whose_clock_was_ahead(house: ManyHouse) -> None:
    house.follower.load_first()
    ahead = house.tables[-1].number + 1_000
    house.follower.begin_above(ahead)
    assert (house.tables[-1].number, house.tables[-1].digest) == (ahead + 1, house.tables[0].digest)
    settle(house)
    assert len(house.tables) == 2, "the same rows, and above all others: no news"


def test_a_poll_without_news_makes_no_table(house: ManyHouse) -> None:
    house.follower.load_first()
    settle(house)
    assert len(house.tables) == 1


def test_a_model_that_is_refused_takes_part_without_a_version_and_is_announced_once(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    registry.register("churn-broken", 1.0)
    (registry.folder / "churn-broken" / "1" / "MLmodel").write_text("flavors: {python_function: {}}")
    house.follower.load_first()
    settle(house)
    assert house.versions == {"churn-a": 1, "churn-b": 1, "churn-broken": None}
    assert [event.reason for event in house.sink.events if event.type is EventType.REFUSAL] == ["FLAVOR_UNSUPPORTED"]
    registry.register("churn-broken", 3_000.0)
    settle(house)
    assert scored(house, many_event(1, "broken")) == [3001.0]


def test_a_version_that_is_refused_leaves_the_one_before(house: ManyHouse, registry: ShelfRegistry) -> None:
    house.follower.load_first()
    registry.register("churn-a", 1.0)
    (registry.folder / "churn-a" / "2" / "MLmodel").unlink()
    settle(house)
    assert house.versions["churn-a"] == 1


def test_a_model_whose_files_do_not_come_holds_up_no_other(house: ManyHouse, registry: ShelfRegistry) -> None:
    house.follower.load_first()
    slow = {f"churn-a-slow-{number}" for number in range(5)}
    registry.slow.update(slow)
    for name in slow:
        registry.register(name, 5_000.0)
    # More of them than there are threads, and they come first.
    house.follower.poll()
    registry.register("churn-b", 2_500.0)
    house.follower.poll()
    eventually(lambda: house.follower.settle() and house.versions["churn-b"] == 2)
    assert not slow & house.versions.keys()
    registry.released.set()
    eventually(lambda: not house.follower.settle())
    assert {house.versions[name] for name in slow} == {1}


def test_a_version_that_throws_on_its_events_gives_way_to_the_one_before(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    registry.register("churn-a", 1_500.0, bounded=True)
    settle(house)
    assert house.versions["churn-a"] == 2
    house.follower.answered({"churn-a/2": (30, 20), "churn-b/1": (30, 9)})
    settle(house)
    assert house.versions == {"churn-a": 1, "churn-b": 1}
    back = house.sink.events[-1]
    assert (back.type, back.model, back.from_version, back.to_version) == (EventType.ROLLBACK, "churn-a", 2, 1)
    settle(house)
    assert house.versions["churn-a"] == 1, "on hold, although the alias names it"


def test_a_version_on_hold_does_not_serve_after_a_restart_nor_at_the_next_driver(
    house: ManyHouse, registry: ShelfRegistry, tmp_path: Path
) -> None:
    house.follower.load_first()
    house.follower.hold(ModelKey("churn-a", 1), "wrong")
    settle(house)
    assert house.versions == {"churn-a": None, "churn-b": 1}
    house.close()
    for home, heritage in ((house.home, Heritage()), (tmp_path / "new", Heritage(frozenset({ModelKey("churn-a", 1)})))):
        again = ManyHouse(registry, home)
        again.follower.load_first()
        again.follower.inherit(heritage)
        assert again.versions.get("churn-a") is None
        again.close()


def test_holds_of_each_model_are_read_from_the_events_of_its_own_selector() -> None:
    events = [
        {"application": "app", "selector": "churn-a@champion", "model": "churn-a", "type": "hold", "to_version": 3},
        {"application": "app", "selector": "churn-b#4", "model": "churn-b", "type": "hold", "to_version": 4},
        {"application": "app", "selector": "churn-b@champion", "model": "churn-b", "type": "rollback",
         "from_version": 2, "to_version": 1},
    ]  # fmt: skip
    heritage = Heritage.of_models(events, "app", lambda name: f"{name}@champion")
    assert heritage.held == {ModelKey("churn-a", 3), ModelKey("churn-b", 2)}


def test_a_table_comes_back_from_the_ledgers_record_of_it_with_the_versions_of_then(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    served = house.slot.current()
    assert served is not None
    record = house.follower.record(served.key)
    registry.register("churn-a", 1_500.0)
    settle(house)
    recalled = house.follower.recalled(record)
    assert (recalled.key, recalled.package.digest) == (served.key, served.package.digest)
    then = facts(pass_of(recalled).score(records_of_values([many_event(1, "a")])), "prediction")
    assert then == [{"prediction": 1001.0}]
    assert scored(house, many_event(1, "a")) == [1501.0]
    house.follower.release(recalled)


def test_a_version_that_is_nowhere_any_more_is_a_row_without_a_program(house: ManyHouse) -> None:
    house.follower.load_first()
    record = {"models": "churn-{tenant}", "table": 5, "digest": "d", "rows": [["churn-gone", 7, "run", "d" * 64]]}
    recalled = house.follower.recalled(record)
    (row,) = facts(pass_of(recalled).score(records_of_values([many_event(1, "gone")])), "verdict")
    assert row["verdict"]["reason"] == "MODEL_NOT_LOADED"


def test_a_silent_registry_stops_a_recall_and_rejects_nothing(house: ManyHouse, registry: ShelfRegistry) -> None:
    house.follower.load_first()
    registry.trouble = RegistryUnavailableError("the registry is down")
    record = {"models": "churn-{tenant}", "table": 5, "digest": "d", "rows": [["churn-a", 7, "run", "d" * 64]]}
    with pytest.raises(RegistryUnavailableError):
        house.follower.recalled(record)


def test_what_served_before_a_restart_serves_while_the_registry_is_silent(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    house.follower.answered({"churn-b/1": (5, 0)})
    house.close()
    registry.trouble = RegistryUnavailableError("the registry is down")
    again = ManyHouse(registry, house.home, startup_seconds=60.0)
    again.follower.load_first()
    assert len(registry.searches) == 2, "it was asked once at each start, and not waited for"
    assert again.versions == {"churn-a": 1, "churn-b": 1}
    first = next(event.model for event in again.sink.events if event.type is EventType.SWAP)
    assert first == "churn-b", "it had most events"
    again.close()


def test_a_registry_that_refuses_the_client_ends_the_start_at_once(registry: ShelfRegistry, tmp_path: Path) -> None:
    registry.trouble = ConfigurationError("no READ on the registered models")
    house = ManyHouse(registry, tmp_path / "home", startup_seconds=60.0)
    with pytest.raises(ConfigurationError, match="no READ"):
        house.follower.load_first()
    assert len(registry.searches) == 1
    house.close()


def test_the_first_start_says_that_it_waits_for_a_silent_registry_and_goes_on_once_that_answers(
    registry: ShelfRegistry, tmp_path: Path
) -> None:
    registry.trouble = RegistryUnavailableError("the registry is down")
    house = ManyHouse(registry, tmp_path / "home", startup_seconds=60.0)

    def announced() -> list[EventType]:
        return [event.type for event in house.sink.events if event.model == str(house.rule)]

    with ThreadPoolExecutor(1) as beside:
        start = beside.submit(house.follower.load_first)
        eventually(lambda: announced() == [EventType.REGISTRY_DOWN])
        assert not start.done()
        registry.trouble = None
        assert start.result() is not None
    assert announced() == [EventType.REGISTRY_DOWN, EventType.REGISTRY_UP]
    assert house.versions == {"churn-a": 1, "churn-b": 1}
    house.close()


def test_a_right_that_is_taken_away_while_the_job_runs_leaves_what_serves(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    registry.trouble = ConfigurationError("no READ on the registered models")
    settle(house)
    assert house.versions == {"churn-a": 1, "churn-b": 1}
    assert house.sink.events[-1].type is EventType.REGISTRY_DOWN


def test_a_version_that_is_still_being_registered_takes_part_once_it_is_ready(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    registry.pending.add("churn-b")
    house.follower.load_first()
    assert house.versions == {"churn-a": 1}
    registry.pending.clear()
    settle(house)
    assert house.versions == {"churn-a": 1, "churn-b": 1}
    assert [event.type for event in house.sink.events] == [EventType.SWAP] * 2, "nothing was refused"


def test_a_restart_forgets_no_model_that_has_not_come_to_a_version_yet(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    served = house.memory.load().versions
    house.close()
    registry.pending.add("churn-b")
    again = ManyHouse(registry, house.home)
    again.follower.load_first()
    assert again.versions == {"churn-a": 1}
    assert again.memory.load().versions == served
    again.close()


def test_another_job_that_shares_the_cache_removes_no_version_that_serves_in_a_table(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    registry.register("other", 10.0)
    # A job with one model keeps a single version beside those that serve.
    other = ModelCache(house.home / "cache", keep=1, max_bytes=1)
    with pytest.raises(CandidateRefusedError, match="CACHE_FULL"):
        other.fetch(registry.get("other", 2), registry.download)
    house.close()
    registry.trouble = RegistryUnavailableError("the registry is down")
    again = ManyHouse(registry, house.home)
    again.follower.load_first()
    assert again.versions == {"churn-a": 1, "churn-b": 1}
    again.close()


def test_a_job_without_any_model_does_not_start(tmp_path: Path) -> None:
    house = ManyHouse(ShelfRegistry(tmp_path / "registry"), tmp_path / "home")
    with pytest.raises(ModelNotFoundError, match="no model of the rule"):
        house.follower.load_first()
    house.close()


def test_files_go_with_the_tables_that_need_them_and_with_the_process(
    house: ManyHouse, registry: ShelfRegistry
) -> None:
    house.follower.load_first()
    for version in range(4):
        registry.register("churn-a", float(version))
        with house.slot.lease():
            pass
        settle(house)
    folder = house.row_pass.table_file.parent
    assert len(list(folder.glob("*.table"))) <= 2, "what serves and what may be gone back to"
    assert len(list(folder.glob("churn-a-*.program"))) <= 2
    assert scored(house, many_event(1, "a"), many_event(2, "b")) == [4.0, 2002.0]
    house.close()
    assert not folder.exists()


def test_a_follower_polls_by_itself_and_ends(house: ManyHouse, registry: ShelfRegistry) -> None:
    house.clock = ManualClock()
    house.follower.load_first()
    house.follower.start()
    registry.register("churn-b", 2_500.0)
    house.follower.wake()
    eventually(lambda: house.versions["churn-b"] == 2)
    house.follower.stop()
