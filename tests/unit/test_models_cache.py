"""The download cache: whole versions only, each fetched once, bounded, shared by processes."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming.errors import CandidateRefusedError, FilesMissingError, RegistryUnavailableError, SetupError
from streaming.models.cache import CachedModel, ModelCache
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.last_good import LastGoodFile
from streaming.models.ref import ModelVersion
from streaming.testing import FakeRegistry
from tests.support.versions import CHAMPION, flights, version_files

LARGE = 10**9


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def register(registry: FakeRegistry, folder: Path, content: str = "a pipeline", *, tagged: bool = True) -> ModelVersion:
    files = version_files(folder, content)
    return registry.register(files, tags={DIGEST_TAG: tree_digest(files)} if tagged else {})


def fetch(cache: ModelCache, registry: FakeRegistry, version: ModelVersion) -> CachedModel:
    return cache.fetch(version, registry.download)


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*-*") if path.parent.name != ".partial")


def test_a_tagged_version_is_downloaded_once_for_all_processes(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")
    first = fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version)
    again = fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version)
    assert registry.downloads == [1]
    assert first.root == again.root
    assert first.digest == tree_digest(tmp_path / "files")
    assert first.root.parent.name == f"1-{first.digest[:12]}"


def test_an_untagged_version_is_trusted_only_by_the_process_that_fetched_it(
    tmp_path: Path, registry: FakeRegistry
) -> None:
    version = register(registry, tmp_path / "files", tagged=False)
    cache = ModelCache(tmp_path / "cache", 3, LARGE)
    fetch(cache, registry, version)
    fetch(cache, registry, version)
    assert registry.downloads == [1]
    fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version)
    assert registry.downloads == [1, 1]


def test_files_that_differ_from_the_tag_are_refused_and_leave_nothing(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")
    (tmp_path / "files" / "MLmodel").write_text("changed after registering")
    with pytest.raises(CandidateRefusedError, match="DIGEST_MISMATCH"):
        fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version)
    assert kept(tmp_path / "cache") == []
    assert list((tmp_path / "cache" / ".partial").iterdir()) == []


def test_files_that_rot_on_disk_are_fetched_again(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")
    cache = ModelCache(tmp_path / "cache", 3, LARGE)
    root = fetch(cache, registry, version).root
    cache.release(root)
    (root / "MLmodel").write_bytes(b"\0")
    assert tree_digest(fetch(cache, registry, version).root) == version.tags[DIGEST_TAG]
    assert registry.downloads == [1, 1]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")

    def breaks_off(version: ModelVersion, target: Path) -> None:
        (target / "MLmodel").write_text("half")
        raise RegistryUnavailableError("gone")

    cache = ModelCache(tmp_path / "cache", 3, LARGE)
    with pytest.raises(RegistryUnavailableError):
        cache.fetch(version, breaks_off)
    assert kept(tmp_path / "cache") == []
    assert list((tmp_path / "cache" / ".partial").iterdir()) == []


def test_a_full_disk_refuses_the_candidate_with_the_remedy(tmp_path: Path, registry: FakeRegistry) -> None:
    def no_space(version: ModelVersion, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CandidateRefusedError, match=r"CACHE_FULL.*set model\.cache_dir"):
        ModelCache(tmp_path / "cache", 3, LARGE).fetch(register(registry, tmp_path / "files"), no_space)


def test_what_a_killed_process_left_half_written_goes_at_the_next_start(tmp_path: Path) -> None:
    half = tmp_path / "cache" / ".partial" / "abc"
    half.mkdir(parents=True)
    (half / "MLmodel").write_text("half")
    ModelCache(tmp_path / "cache", 3, LARGE)
    assert not half.exists()


def test_a_download_in_progress_survives_another_process_starting(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")
    cache = ModelCache(tmp_path / "cache", 3, LARGE)

    def download(version: ModelVersion, target: Path) -> None:
        starter = "from pathlib import Path; from streaming.models.cache import ModelCache; import sys;"
        starter += "ModelCache(Path(sys.argv[1]), 3, 10**9)"
        subprocess.run([sys.executable, "-c", starter, str(tmp_path / "cache")], check=True)
        registry.download(version, target)

    assert cache.fetch(version, download).digest == version.tags[DIGEST_TAG]


def test_only_the_newest_few_stay_beside_those_in_use(tmp_path: Path, registry: FakeRegistry) -> None:
    cache = ModelCache(tmp_path / "cache", 2, LARGE)
    used = fetch(cache, registry, register(registry, tmp_path / "v1", "1"))
    for number in range(2, 6):
        model = fetch(cache, registry, register(registry, tmp_path / f"v{number}", str(number)))
        cache.release(model.root)
    cache.collect()
    assert [name.split("-")[0] for name in kept(tmp_path / "cache")] == ["1", "4", "5"]
    cache.release(used.root)
    cache.collect()
    assert [name.split("-")[0] for name in kept(tmp_path / "cache")] == ["1", "5"], "the first was used until now"


def killed(cache: ModelCache) -> None:
    """Drop the process's locks as the operating system does: nothing else is said."""
    for locks in cache._mine.values():
        for lock in locks:
            lock.close()


def test_what_served_last_stays_after_a_kill_however_many_candidates_are_refused(
    tmp_path: Path, registry: FakeRegistry
) -> None:
    folder = tmp_path / "cache"
    for number, application in enumerate(["ours", "theirs"], start=1):
        cache = ModelCache(folder, 1, LARGE)
        served = fetch(cache, registry, register(registry, tmp_path / f"v{number}", str(number)))
        LastGoodFile(folder / f"{application}.last_good.json", CHAMPION).save(
            flights(number), served.digest, frozenset()
        )
        killed(cache)
    again = ModelCache(folder, 1, LARGE)
    for number in range(3, 8):
        again.release(fetch(again, registry, register(registry, tmp_path / f"v{number}", str(number))).root)
        again.collect()
    assert [name.split("-")[0] for name in kept(folder)] == ["1", "2", "7"]


def test_what_served_last_makes_no_room_for_a_candidate_that_is_too_large(
    tmp_path: Path, registry: FakeRegistry
) -> None:
    folder = tmp_path / "cache"
    cache = ModelCache(folder, 9, 25_000)
    served = fetch(cache, registry, register(registry, tmp_path / "v1", "x" * 10_000))
    LastGoodFile(folder / "app.last_good.json", CHAMPION).save(flights(1), served.digest, frozenset())
    killed(cache)
    with pytest.raises(CandidateRefusedError, match="CACHE_FULL"):
        fetch(ModelCache(folder, 9, 25_000), registry, register(registry, tmp_path / "v2", "x" * 20_000))
    assert [name.split("-")[0] for name in kept(folder)] == ["1"]


def empty(tree: Path) -> None:
    shutil.rmtree(tree)
    tree.mkdir()


LOST: dict[str, Callable[[Path], object]] = {
    "all of them": empty,
    "MLmodel": lambda tree: (tree / "MLmodel").unlink(),
    "the pipeline": lambda tree: shutil.rmtree(tree / "sparkml"),
    "a part of the pipeline's description": lambda tree: (tree / "sparkml" / "metadata" / "part-00000").unlink(),
    "a file of a stage": lambda tree: (tree / "sparkml" / "data").unlink(),
}


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "untagged"])
@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_files_that_the_store_has_lost_did_not_arrive_and_are_fetched_when_they_are_back(
    tmp_path: Path, registry: FakeRegistry, lost: Callable[[Path], object], tagged: bool
) -> None:
    files = version_files(tmp_path / "files", model_size_bytes=len("a pipeline") + 100)
    (files / "sparkml" / "data").write_bytes(b"x" * 100)
    tags = {DIGEST_TAG: tree_digest(files)} if tagged else {}
    version = registry.register(files, tags=tags)
    whole = shutil.copytree(files, tmp_path / "whole")
    lost(files)
    cache = ModelCache(tmp_path / "cache", 3, LARGE)
    with pytest.raises(FilesMissingError, match="is missing"):
        fetch(cache, registry, version)
    assert kept(tmp_path / "cache") == []
    shutil.copytree(whole, files, dirs_exist_ok=True)
    assert fetch(cache, registry, version).digest == tree_digest(whole)


def test_files_that_were_registered_without_a_part_are_whole(tmp_path: Path, registry: FakeRegistry) -> None:
    files = version_files(tmp_path / "files")
    shutil.rmtree(files / "sparkml")
    version = registry.register(files, tags={DIGEST_TAG: tree_digest(files)})
    assert fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version).digest == tree_digest(files)


def test_a_version_in_use_by_another_process_is_not_collected(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "v1", "1")
    theirs, ours = (ModelCache(tmp_path / "cache", 1, LARGE) for _ in range(2))
    used = fetch(theirs, registry, version)
    ours.release(fetch(ours, registry, register(registry, tmp_path / "v2", "2")).root)
    ours.collect()
    assert used.root.is_dir()


def test_the_byte_bound_removes_the_oldest_first(tmp_path: Path, registry: FakeRegistry) -> None:
    cache = ModelCache(tmp_path / "cache", 9, 25_000)
    for number in range(1, 5):
        model = fetch(cache, registry, register(registry, tmp_path / f"v{number}", "x" * 10_000 + str(number)))
        cache.release(model.root)
    cache.collect()
    assert [name.split("-")[0] for name in kept(tmp_path / "cache")] == ["3", "4"]


def test_a_version_that_cannot_fit_is_refused_and_removed(tmp_path: Path, registry: FakeRegistry) -> None:
    cache = ModelCache(tmp_path / "cache", 3, 25_000)
    small = fetch(cache, registry, register(registry, tmp_path / "v1", "x" * 10_000))
    with pytest.raises(CandidateRefusedError, match=r"CACHE_FULL.*model\.cache_max_bytes is 25000"):
        fetch(cache, registry, register(registry, tmp_path / "v2", "x" * 20_000))
    assert kept(tmp_path / "cache") == [small.root.parent.name]


def test_threads_fetching_one_version_all_get_whole_files(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files")
    caches = [ModelCache(tmp_path / "cache", 3, LARGE) for _ in range(4)]
    result: list[str] = []
    threads = [
        threading.Thread(target=lambda c=c: result.append(tree_digest(fetch(c, registry, version).root)))
        for c in caches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert result == [version.tags[DIGEST_TAG]] * 4
    assert len(kept(tmp_path / "cache")) == 1


def test_a_version_is_recalled_without_the_registry(tmp_path: Path, registry: FakeRegistry) -> None:
    version = register(registry, tmp_path / "files", tagged=False)
    digest = fetch(ModelCache(tmp_path / "cache", 3, LARGE), registry, version).digest
    later = ModelCache(tmp_path / "cache", 3, LARGE)
    result = later.recall(flights(1))
    assert result is not None
    assert (result.version, result.digest) == (version, digest)
    assert later.recall(flights(1), "0" * 64) is None
    assert later.recall(flights(2)) is None


@pytest.mark.parametrize("name", ["../../climbs", ".hidden", "a/b", "has [glob]*", "name with spaces"])
def test_no_model_name_leads_out_of_the_cache(tmp_path: Path, name: str) -> None:
    registry = FakeRegistry(name)
    version = register(registry, tmp_path / "files")
    cache = ModelCache(tmp_path / "cache", 3, LARGE)
    root = fetch(cache, registry, version).root
    assert root.parents[2] == (tmp_path / "cache").resolve()
    assert fetch(cache, registry, version).root == root
    assert registry.downloads == [1]


def test_a_cache_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"set model\.cache_dir"):
        ModelCache(tmp_path / "file" / "cache", 3, LARGE)


def test_the_registry_s_own_file_does_not_change_the_digest(tmp_path: Path) -> None:
    files = version_files(tmp_path / "files")
    before = tree_digest(files)
    (files / "registered_model_meta").write_text("model_name: flights\n")
    assert tree_digest(files) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "MLmodel").write_text("other"),
        lambda root: (root / "MLmodel").rename(root / "MLmodel2"),
        lambda root: (root / "extra").write_text(""),
        lambda root: shutil.rmtree(root / "sparkml"),
    ],
    ids=["a byte", "a name", "an empty file more", "a folder less"],
)
def test_any_other_change_changes_the_digest(tmp_path: Path, change: object) -> None:
    files = version_files(tmp_path / "files")
    before = tree_digest(files)
    change(files)  # type: ignore[operator]
    assert tree_digest(files) != before
