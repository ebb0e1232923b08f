"""Staging: whole copies under a name made of their content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.models.digest import tree_digest
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.models.stager import LocalFileStore, Stager
from tests.support.versions import version_files


def package(root: Path, content: str = "a pipeline") -> ModelPackage:
    version_files(root, content)
    return ModelPackage(ModelVersion("flights", 2), root, root / "sparkml", tree_digest(root), Signature(()))


class CountingStore(LocalFileStore):
    """A local store that counts copies, and fails if told to."""

    def __init__(self, problem: OSError | None = None) -> None:
        self.copies = 0
        self.problem = problem

    def put_tree(self, source: Path, uri: str) -> None:
        self.copies += 1
        super().put_tree(source, uri)
        if self.problem:
            raise self.problem


def test_without_a_staging_area_the_cache_is_read_itself(tmp_path: Path) -> None:
    made = package(tmp_path / "model")
    assert Stager(LocalFileStore(), None).stage(made) == f"file://{made.pipeline_dir}"


@pytest.mark.parametrize("scheme", ["", "file://"], ids=["plain path", "file URI"])
def test_a_version_is_copied_once(tmp_path: Path, scheme: str) -> None:
    made, store = package(tmp_path / "model"), CountingStore()
    stager = Stager(store, f"{scheme}{tmp_path}/shared/")
    uri = stager.stage(made)
    assert stager.stage(made) == uri
    assert store.copies == 1
    staged = tmp_path / "shared" / "flights" / f"2-{made.digest[:12]}" / "sparkml"
    assert uri == f"{scheme}{staged}"
    assert tree_digest(staged) == tree_digest(made.pipeline_dir)


def test_a_model_of_another_flavor_is_not_copied(tmp_path: Path) -> None:
    made, store = replace(package(tmp_path / "model"), flavor="lightgbm"), CountingStore()
    Stager(store, str(tmp_path / "shared")).stage(made)
    assert store.copies == 0


def test_a_copy_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    made = package(tmp_path / "model")
    with pytest.raises(CandidateRefusedError, match=r"STAGING_FAILED.*check model\.staging_uri"):
        Stager(CountingStore(OSError("no space")), str(tmp_path / "shared")).stage(made)
    (tmp_path / "shared" / "flights" / f"2-{made.digest[:12]}" / "sparkml" / "stray").write_text("left over")
    uri = Stager(LocalFileStore(), str(tmp_path / "shared")).stage(made)
    assert tree_digest(Path(uri)) == tree_digest(made.pipeline_dir)


def test_other_files_under_the_same_number_are_staged_beside(tmp_path: Path) -> None:
    stager = Stager(LocalFileStore(), str(tmp_path / "shared"))
    assert stager.stage(package(tmp_path / "a", "one")) != stager.stage(package(tmp_path / "b", "two"))


def test_a_local_store_takes_no_other_scheme(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="s3a://bucket"):
        Stager(LocalFileStore(), "s3a://bucket/models").stage(package(tmp_path / "model"))
