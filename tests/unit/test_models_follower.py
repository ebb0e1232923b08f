"""Following the registry: whatever goes wrong, the version that serves goes on serving, and it is said once."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streaming.errors import CandidateRefusedError, ModelNotFoundError, RegistryUnavailableError
from streaming.models.candidate import Promoted, Unchanged
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.models.refusals import Refused
from streaming.refusal_codes import RefusalCode
from streaming.testing import FakeRegistry, ManualClock
from tests.support.eventually import eventually
from tests.support.laws import examples
from tests.support.versions import FakeLoader, FakeScorer, House, flights, version_files

LATER = 3600.0


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def house(tmp_path: Path, registry: FakeRegistry, clock: ManualClock) -> House:
    """A process that serves v1."""
    register(registry, tmp_path)
    house = House(registry, tmp_path / "cache", clock)
    house.follower.load_first()
    assert house.serving == 1
    return house


def register(registry: FakeRegistry, folder: Path, content: str = "a pipeline") -> ModelVersion:
    """Register new files and point the alias at them."""
    files = version_files(folder / f"files{len(list(folder.iterdir()))}", content)
    version = registry.register(files, tags={DIGEST_TAG: tree_digest(files)})
    registry.point("champion", version.version)
    return version


def prove(house: House) -> None:
    with house.slot.lease():
        pass


def restarted(house: House) -> House:
    """The same job in a new process."""
    return House(house.registry, house.cache_dir, house.clock)


def test_each_flavor_is_loaded_by_its_own_loader(registry: FakeRegistry, tmp_path: Path, clock: ManualClock) -> None:
    pipelines, others = FakeLoader(), FakeLoader()
    house = House(registry, tmp_path / "cache", clock, loader=pipelines, loaders={"sklearn": others})
    register(registry, tmp_path)
    house.follower.load_first()
    files = version_files(tmp_path / "other", flavors={"sklearn": {"pickled_model": "model.pkl"}})
    shutil.copytree(files / "sparkml" / "metadata", files / "metadata")
    registry.point("champion", registry.register(files, tags={DIGEST_TAG: tree_digest(files)}).version)
    house.follower.poll()
    assert house.serving == 2
    loaded = [[model.version.version for model in loader.loaded] for loader in (pipelines, others)]
    assert loaded == [[1], [2]]


def test_a_moved_alias_is_served_after_the_next_poll(house: House, registry: FakeRegistry, tmp_path: Path) -> None:
    version = register(registry, tmp_path, "better")
    outcome = house.follower.poll()
    assert isinstance(outcome, Promoted)
    assert house.serving == 2
    event = house.sink.events[-1]
    assert (event.type.value, event.from_version, event.to_version) == ("swap", 1, 2)
    assert event.digest == version.tags[DIGEST_TAG]
    assert house.metrics.swapped == [1, 2]


def test_a_poll_that_finds_nothing_new_does_nothing(house: House, registry: FakeRegistry) -> None:
    assert isinstance(house.follower.poll(), Unchanged)
    assert registry.downloads == [1]
    assert house.sink.types == ["swap"]


def test_the_version_replaced_is_released_once_no_batch_uses_it(
    house: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    register(registry, tmp_path, "better")
    with house.slot.lease() as leased:
        house.follower.poll()
        assert isinstance(leased.scorer, FakeScorer)
        assert leased.scorer.releases == 0
    register(registry, tmp_path, "best")
    prove(house)
    house.follower.poll()
    assert leased.scorer.releases == 1


def test_files_of_versions_that_are_gone_leave_the_cache(house: House, registry: FakeRegistry, tmp_path: Path) -> None:
    for number in range(2, 8):
        prove(house)
        register(registry, tmp_path, str(number))
        house.follower.poll()
    names = {path.name.split("-")[0] for path in (house.cache_dir / "flights").iterdir()}
    assert names == {"4", "5", "6", "7"}, "three that served before, and one that serves"


@pytest.mark.parametrize(
    ("content", "reason"),
    [("corrupt", "CORRUPT_FILES"), ("throws", "LOAD_FAILED"), ("golden", "GOLDEN_ROW_FAILED")],
)
def test_a_broken_candidate_never_serves_and_is_announced_once(
    house: House, registry: FakeRegistry, tmp_path: Path, content: str, reason: str
) -> None:
    def fails(package: ModelPackage) -> BaseException | None:
        text = (package.pipeline_dir / "metadata" / "part-00000").read_text()
        known = {
            "throws": RuntimeError("surprise"),
            "golden": CandidateRefusedError(RefusalCode.GOLDEN_ROW_FAILED, "differs"),
        }
        return known.get(text)

    assert isinstance(house.loader, FakeLoader)
    house.loader.fails = fails
    register(registry, tmp_path, content)
    outcome = house.follower.poll()
    assert isinstance(outcome, Refused)
    assert outcome.reason.name == reason
    for _ in range(3):
        house.follower.poll()
    assert house.serving == 1
    assert house.sink.types == ["swap", "refusal"]
    assert house.metrics.refused == [reason]
    assert (house.sink.events[-1].from_version, house.sink.events[-1].to_version) == (1, 2)


def test_a_refusal_that_cannot_heal_is_not_tried_again(
    house: House, registry: FakeRegistry, clock: ManualClock, tmp_path: Path
) -> None:
    register(registry, tmp_path, "corrupt")
    house.follower.poll()
    clock.advance(LATER)
    house.follower.poll()
    assert registry.downloads == [1, 2]


def test_a_refused_version_whose_digest_tag_changes_gets_a_new_chance(
    house: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    version = register(registry, tmp_path, "a pipeline")
    registry.change(replace(registry.get("flights", 2), tags={DIGEST_TAG: "0" * 64}))
    outcome = house.follower.poll()
    assert isinstance(outcome, Refused)
    assert outcome.reason is RefusalCode.DIGEST_MISMATCH
    registry.change(replace(registry.get("flights", 2), tags=version.tags))
    assert isinstance(house.follower.poll(), Promoted)


def test_a_refusal_that_may_heal_is_tried_again_ever_more_seldom(
    house: House, registry: FakeRegistry, clock: ManualClock, tmp_path: Path
) -> None:
    house.sample.values = [b'{"distance": "text"}']
    register(registry, tmp_path, "better")
    tries = 0
    for _ in range(60):
        outcome = house.follower.poll()
        tries += isinstance(outcome, Refused)
        clock.advance(10)
    assert 4 <= tries <= 8
    assert house.sink.types == ["swap", "refusal"]
    house.sample.values = [b'{"distance": 1.0}']
    clock.advance(LATER)
    assert isinstance(house.follower.poll(), Promoted)


def test_while_the_registry_is_down_the_old_version_serves(house: House, registry: FakeRegistry) -> None:
    registry.down = True
    for _ in range(5):
        assert house.follower.poll() is None
    assert house.serving == 1
    registry.down = False
    house.follower.poll()
    assert house.sink.types == ["swap", "registry_down", "registry_up"]
    assert house.metrics.answered == [True, *[False] * 5, True]


def test_a_download_that_fails_is_a_refusal_and_is_tried_again(
    house: House, registry: FakeRegistry, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(version: ModelVersion, target: Path) -> None:
        raise RegistryUnavailableError("the artifact store is away")

    register(registry, tmp_path, "better")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "download", gone)
        outcome = house.follower.poll()
    assert isinstance(outcome, Refused)
    assert outcome.reason is RefusalCode.DOWNLOAD_FAILED
    assert house.serving == 1
    clock.advance(LATER)
    assert isinstance(house.follower.poll(), Promoted)


def test_a_deleted_alias_is_alerted_once_and_what_serves_goes_on(house: House, registry: FakeRegistry) -> None:
    registry.point("champion", None)
    for _ in range(3):
        assert house.follower.poll() is None
    assert house.serving == 1
    registry.point("champion", 1)
    house.follower.poll()
    registry.point("champion", None)
    house.follower.poll()
    assert house.sink.types == ["swap", "selector_lost", "selector_lost"]
    assert house.metrics.resolved == [True, False, False, False, True, False]


@pytest.mark.parametrize(("status", "outcome"), [("PENDING", Unchanged), ("FAILED", Refused), ("READY", Promoted)])
def test_only_a_registered_version_is_tried(
    house: House, registry: FakeRegistry, tmp_path: Path, status: str, outcome: type
) -> None:
    register(registry, tmp_path, "better")
    registry.change(replace(registry.get("flights", 2), status=status))  # type: ignore[arg-type]
    assert isinstance(house.follower.poll(), outcome)


def test_a_version_that_fails_in_batches_is_rolled_back_and_stays_away(
    house: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    prove(house)
    register(registry, tmp_path, "worse")
    house.follower.poll()
    good = house.follower.roll_back(flights(2), "it throws")
    assert good is not None
    assert good.version.version == house.serving == 1
    assert isinstance(house.follower.poll(), Unchanged)
    assert house.sink.types == ["swap", "swap", "rollback"]
    assert house.sink.events[-1].actor.value == "engine"
    register(registry, tmp_path, "repaired")
    house.follower.poll()
    assert house.serving == 3


def test_a_rollback_outlives_a_restart(house: House, registry: FakeRegistry, tmp_path: Path) -> None:
    prove(house)
    register(registry, tmp_path, "worse")
    house.follower.poll()
    house.follower.roll_back(flights(2), "it throws")
    again = restarted(house)
    again.follower.load_first()
    assert again.serving == 1
    assert again.sink.events[-1].reason == "LAST_KNOWN_GOOD"


def test_an_operator_s_hold_keeps_a_version_out(house: House, registry: FakeRegistry, tmp_path: Path) -> None:
    register(registry, tmp_path, "better")
    assert house.follower.hold(flights(2), "not before Monday") == ""
    assert isinstance(house.follower.poll(), Unchanged)
    assert house.serving == 1
    assert house.sink.types == ["swap", "hold"]


def test_a_version_that_is_not_there_is_not_held(house: House) -> None:
    with pytest.raises(ModelNotFoundError):
        house.follower.hold(flights(9), "a slip of the finger")
    assert house.slot.held == frozenset()
    assert house.sink.types == ["swap"]


def test_a_version_can_be_held_while_the_registry_is_down(house: House, registry: FakeRegistry) -> None:
    registry.down = True
    assert "does not answer" in house.follower.hold(flights(9), "it is wrong in Denver")
    assert house.slot.held == {flights(9)}


@pytest.mark.parametrize("down", [False, True], ids=["the registry answers", "the registry is down"])
def test_a_restart_after_a_hold_of_what_serves_goes_back_to_what_served_before(
    house: House, registry: FakeRegistry, tmp_path: Path, down: bool
) -> None:
    register(registry, tmp_path, "worse")
    house.follower.poll()
    assert "goes on until the next swap" in house.follower.hold(flights(2), "it is wrong in Denver")
    assert house.follower.hold(flights(2), "once more").endswith("a restart serves version 1")
    assert house.serving == 2
    registry.down = down
    again = restarted(house)
    again.follower.load_first()
    assert again.serving == 1
    assert again.sink.events[-1].reason == "LAST_KNOWN_GOOD"


def test_a_hold_of_the_only_version_says_that_a_restart_has_nothing_to_serve(house: House) -> None:
    assert house.follower.hold(flights(1), "it is wrong in Denver").endswith("a restart has nothing to serve")
    with pytest.raises(CandidateRefusedError, match="on hold"):
        restarted(house).follower.load_first()


def test_a_version_whose_files_the_store_has_lost_serves_when_they_are_back(
    house: House, registry: FakeRegistry, clock: ManualClock, tmp_path: Path
) -> None:
    files = tmp_path / f"files{len(list(tmp_path.iterdir()))}"
    register(registry, tmp_path, "better")
    lost = files.rename(tmp_path / "lost")
    files.mkdir()
    outcome = house.follower.poll()
    assert isinstance(outcome, Refused)
    assert (outcome.reason, house.serving) == (RefusalCode.DOWNLOAD_FAILED, 1)
    shutil.copytree(lost, files, dirs_exist_ok=True)
    clock.advance(LATER)
    assert isinstance(house.follower.poll(), Promoted)


def test_a_restart_while_the_registry_is_down_serves_what_served_before(house: House, registry: FakeRegistry) -> None:
    registry.down = True
    again = restarted(house)
    again.follower.load_first()
    assert again.serving == 1
    assert again.sink.types == ["registry_down", "swap"]
    assert again.sink.events[-1].reason == "LAST_KNOWN_GOOD"
    registry.down = False
    again.follower.poll()
    assert again.sink.types[-1] == "registry_up"


def test_a_restart_onto_a_broken_version_serves_what_served_before(
    house: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    register(registry, tmp_path, "corrupt")
    again = restarted(house)
    again.follower.load_first()
    assert again.serving == 1
    assert again.sink.types == ["refusal", "swap"]


def test_a_restart_with_another_selector_does_not_fall_back(house: House, registry: FakeRegistry) -> None:
    other = House(registry, house.cache_dir, house.clock, selector=ModelSelector("flights", "alias", "typo"))
    with pytest.raises(ModelNotFoundError, match="flights@typo"):
        other.follower.load_first()


def test_a_restart_whose_cached_files_were_changed_does_not_serve_them(house: House, registry: FakeRegistry) -> None:
    current = house.slot.current()
    assert current is not None
    (current.package.root / "MLmodel").write_text("changed")
    registry.down = True
    with pytest.raises(RegistryUnavailableError):
        restarted(house).follower.load_first()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"selector": 1}', "null"], ids=repr)
def test_an_unreadable_memory_of_the_last_good_version_is_no_obstacle(
    house: House, registry: FakeRegistry, text: str
) -> None:
    (house.cache_dir / "app.last_good.json").write_text(text)
    again = restarted(house)
    again.follower.load_first()
    assert again.serving == 1


def test_a_first_start_without_a_registry_says_so(tmp_path: Path, registry: FakeRegistry, clock: ManualClock) -> None:
    registry.down = True
    house = House(registry, tmp_path / "cache", clock)
    with pytest.raises(RegistryUnavailableError):
        house.follower.load_first()


def test_a_first_start_on_a_broken_version_says_why(tmp_path: Path, registry: FakeRegistry, clock: ManualClock) -> None:
    register(registry, tmp_path, "corrupt")
    with pytest.raises(CandidateRefusedError, match="flights v1"):
        House(registry, tmp_path / "cache", clock).follower.load_first()


def test_a_first_start_whose_files_do_not_arrive_is_the_registry_s_fault(
    tmp_path: Path, registry: FakeRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(version: ModelVersion, target: Path) -> None:
        raise RegistryUnavailableError("the artifact store is away")

    register(registry, tmp_path)
    monkeypatch.setattr(registry, "download", gone)
    with pytest.raises(RegistryUnavailableError, match="did not arrive"):
        House(registry, tmp_path / "cache", clock).follower.load_first()


def test_a_first_start_waits_for_a_registry_that_comes_up_late(
    tmp_path: Path, registry: FakeRegistry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(registry, tmp_path)
    registry.down = True
    house = House(registry, tmp_path / "cache", clock, startup_seconds=30)

    def up_after_the_first_try(selector: ModelSelector) -> ModelVersion:
        try:
            return FakeRegistry.resolve(registry, selector)
        finally:
            registry.down = False

    monkeypatch.setattr(registry, "resolve", up_after_the_first_try)
    house.follower.load_first()
    assert house.serving == 1


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("alias", "champion", 1), ("stage", "Production", 3), ("tag", "tier=gold", 2), ("version", "2", 2)],
)
def test_each_selector_finds_its_version(
    tmp_path: Path, registry: FakeRegistry, clock: ManualClock, kind: str, value: str, expected: int
) -> None:
    for number in range(1, 5):
        files = version_files(tmp_path / f"v{number}", str(number))
        tags = {"tier": "gold"} if number == 2 else {}
        registry.register(files, tags=tags, stage="Production" if number in (2, 3) else "None")
    registry.point("champion", 1)
    house = House(registry, tmp_path / "cache", clock, selector=ModelSelector("flights", kind, value))  # type: ignore[arg-type]
    house.follower.load_first()
    assert house.serving == expected


def test_a_version_a_batch_was_planned_with_is_recalled_even_when_the_registry_is_down(
    house: House, registry: FakeRegistry, tmp_path: Path
) -> None:
    register(registry, tmp_path, "better")
    house.follower.poll()
    registry.down = True
    model = house.follower.recall(flights(1))
    assert model.version.version == 1
    house.follower.release(model)
    assert isinstance(model.scorer, FakeScorer)
    assert model.scorer.releases == 1
    shutil.rmtree(house.cache_dir / "flights")
    with pytest.raises(RegistryUnavailableError):
        house.follower.recall(flights(1))


def test_a_listener_that_throws_stops_nothing(house: House, registry: FakeRegistry, tmp_path: Path) -> None:
    class Throws:
        def send(self, event: object) -> None:
            raise RuntimeError("a user's bug")

    house.follower._announcer = replace(house.follower._announcer, sinks=[Throws(), house.sink])
    register(registry, tmp_path, "better")
    house.follower.poll()
    assert house.serving == 2
    assert house.sink.types == ["swap", "swap"]


def test_the_thread_follows_a_moved_alias_and_outlives_surprises(
    house: House, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(selector: ModelSelector) -> ModelVersion:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "resolve", surprise)
    house.follower.start()
    try:
        register(registry, tmp_path, "better")
        eventually(lambda: house.serving == 2, every=0.01)
    finally:
        house.follower.stop()


def test_waking_polls_at_once(tmp_path: Path, registry: FakeRegistry, clock: ManualClock) -> None:
    register(registry, tmp_path)
    house = House(registry, tmp_path / "cache", clock, poll_seconds=3600)
    house.follower.load_first()
    house.follower.start()
    try:
        register(registry, tmp_path, "better")
        house.follower.wake()
        eventually(lambda: house.serving == 2, every=0.01)
    finally:
        house.follower.stop()


def test_what_is_saved_names_the_selector_so_that_it_can_be_trusted(house: House) -> None:
    saved = json.loads((house.cache_dir / "app.last_good.json").read_text())
    assert saved["selector"] == "flights@champion"
    assert saved["version"] == 1


class ReloadLaws(RuleBasedStateMachine):
    """Any order of registrations, outages, deletions, polls, failures, restarts."""

    CONTENTS = ("fine", "corrupt", "wrong")

    def __init__(self) -> None:
        super().__init__()
        self.registry, self.clock = FakeRegistry(), ManualClock()

    @initialize()
    def begin(self) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self._scratch.name)
        self.contents = ["fine"]
        register(self.registry, self.folder, "fine 1")
        self.house = self.new_house()
        self.house.follower.load_first()

    def new_house(self) -> House:
        def fails(package: ModelPackage) -> BaseException | None:
            text = (package.pipeline_dir / "metadata" / "part-00000").read_text()
            return CandidateRefusedError(RefusalCode.GOLDEN_ROW_FAILED, "differs") if text.startswith("wrong") else None

        return House(self.registry, self.folder / "cache", self.clock, loader=FakeLoader(fails))

    @rule(content=st.sampled_from(CONTENTS))
    def register(self, content: str) -> None:
        self.contents.append(content)
        text = content if content == "corrupt" else f"{content} {len(self.contents)}"
        register(self.registry, self.folder, text)

    @rule(version=st.integers(1, 20))
    def point(self, version: int) -> None:
        self.registry.point("champion", min(version, len(self.contents)))

    @rule()
    def delete_alias(self) -> None:
        self.registry.point("champion", None)

    @rule(down=st.booleans())
    def outage(self, down: bool) -> None:
        self.registry.down = down

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def poll(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.house.follower.poll()

    @rule()
    def finish_a_batch(self) -> None:
        prove(self.house)

    @precondition(lambda self: self.house.slot.last_good() is not None)
    @rule()
    def fail_in_batches(self) -> None:
        before = self.house.serving
        assert before is not None
        self.house.follower.roll_back(flights(before), "it throws")
        assert self.house.serving != before

    @rule()
    def restart(self) -> None:
        self.house = self.new_house()
        self.house.follower.load_first()

    @invariant()
    def a_sound_version_serves_always(self) -> None:
        if hasattr(self, "house"):
            serving = self.house.serving
            assert serving is not None
            assert self.contents[serving - 1] == "fine"
            assert flights(serving) not in self.house.slot.held

    @rule()
    def a_sound_version_that_is_named_serves_after_a_poll(self) -> None:
        self.registry.down = False
        self.clock.advance(3600)
        self.house.follower.poll()
        named = [v for v, _ in self.registry._versions.values() if "champion" in v.aliases]
        if named and self.contents[named[0].version - 1] == "fine" and named[0].key not in self.house.slot.held:
            assert self.house.serving == named[0].version

    def teardown(self) -> None:
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()


TestReloadLaws = ReloadLaws.TestCase
TestReloadLaws.settings = settings(examples(40), stateful_step_count=25)
