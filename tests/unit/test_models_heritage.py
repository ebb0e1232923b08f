"""A takeover keeps to what earlier drivers found out about versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streaming.models.heritage import Heritage
from streaming.testing import FakeRegistry, ManualClock
from tests.support.versions import House, flights
from tests.unit.test_models_follower import prove, register

SELECTOR = "flights@champion"


def heritage_of(*held: int, served: int | None) -> Heritage:
    return Heritage(frozenset(map(flights, held)), None if served is None else flights(served))


def event(kind: str, before: int | None, after: int | None, **changes: str) -> dict[str, Any]:
    names = {"type": kind, "application": "app", "model": "flights", "selector": SELECTOR}
    return {**names, "from_version": before, "to_version": after, **changes}


@pytest.mark.parametrize(
    ("events", "heritage"),
    [
        pytest.param([], Heritage(), id="no driver before"),
        pytest.param([event("swap", None, 1), event("swap", 1, 2)], heritage_of(served=2), id="the last swap"),
        pytest.param(
            [event("swap", None, 1), event("swap", 1, 2), event("rollback", 2, 1)],
            heritage_of(2, served=1),
            id="a rollback holds and serves",
        ),
        pytest.param([event("swap", None, 1), event("hold", 1, 3)], heritage_of(3, served=1), id="a hold"),
        pytest.param([event("refusal", 1, 2), event("pause", 1, None)], Heritage(), id="the rest says nothing"),
        pytest.param([event("hold", 1, 3, application="other")], Heritage(), id="another application"),
        pytest.param([event("hold", 1, 3, selector="flights#3")], Heritage(), id="another selector"),
    ],
)
def test_heritage_is_read_from_the_events(events: list[dict[str, Any]], heritage: Heritage) -> None:
    assert Heritage.of(events, "app", SELECTOR) == heritage


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    made = FakeRegistry()
    for content in ("good", "bad"):
        register(made, tmp_path, content)
    return made


@pytest.fixture
def standby(tmp_path: Path, registry: FakeRegistry) -> House:
    """A driver that follows the alias to v2 by itself."""
    house = House(registry, tmp_path / "cache", ManualClock())
    house.follower.load_first()
    assert house.serving == 2
    return house


def test_the_version_that_an_earlier_driver_rolled_back_from_does_not_come_back_with_the_standby(
    standby: House,
) -> None:
    standby.follower.inherit(heritage_of(2, served=1))
    standby.follower.poll()
    assert standby.serving == 1
    assert (standby.sink.events[-1].to_version, standby.sink.events[-1].reason) == (1, "LAST_KNOWN_GOOD")


@pytest.mark.parametrize(
    ("heritage", "down"),
    [
        pytest.param(heritage_of(7, served=1), False, id="something else is on hold"),
        pytest.param(heritage_of(2, served=None), False, id="nothing served before"),
        pytest.param(heritage_of(2, served=2), False, id="it served before, on hold as it is"),
        pytest.param(heritage_of(2, served=1), True, id="the registry does not give the earlier one"),
    ],
)
def test_where_there_is_no_better_version_the_standby_keeps_its_own(
    standby: House, registry: FakeRegistry, heritage: Heritage, down: bool
) -> None:
    registry.down = down
    standby.follower.inherit(heritage)
    assert standby.serving == 2
    assert standby.slot.held == heritage.held


def test_a_hold_that_was_inherited_outlives_the_next_restart(
    standby: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    prove(standby)
    standby.follower.inherit(heritage_of(2, served=1))
    again = House(registry, standby.cache_dir, standby.clock)
    again.follower.load_first()
    assert again.serving == 1
