"""Paths that somebody gave, looked at before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.configuration.paths import (
    require_readable_file,
    require_writable,
    require_writable_file,
    require_writable_uri,
)
from streaming.errors import ConfigurationError


@pytest.mark.parametrize("below", ["", "new", "new/er/est"])
def test_a_folder_that_can_be_made_is_fine_and_is_not_made(tmp_path: Path, below: str) -> None:
    require_writable(tmp_path / below, "--out")
    require_writable_file(tmp_path / below / "page.html", "--html")
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_take_the_place_of_one_and_not_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    require_writable_file(tmp_path / "page.html", "--html")
    assert (tmp_path / "page.html").read_text() == "old"
    with pytest.raises(ConfigurationError, match=r"--html .* cannot be written: Is a directory"):
        require_writable_file(tmp_path, "--html")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/dev/null/x", id="below a file"),
        pytest.param("/sys/penstock-x", id="refused to root, too"),
        pytest.param("/proc/penstock-x", id="a file system without files of one's own"),
        pytest.param("x" * 256, id="a name too long"),
        pytest.param("a/" * 2_500, id="a path too long"),
    ],
)
def test_a_path_that_cannot_be_is_refused_with_the_name_of_who_gave_it(path: str) -> None:
    for require in (require_writable, require_writable_file):
        with pytest.raises(ConfigurationError, match=r"^--out .* cannot be written: \w"):
            require(Path(path), "--out")


def test_a_long_path_of_short_names_is_fine(tmp_path: Path) -> None:
    require_writable(tmp_path.joinpath(*["part"] * 700), "--out")


@pytest.mark.parametrize("location", ["hdfs://names/here", "s3a://bucket/here"])
def test_other_file_systems_are_not_looked_at(location: str) -> None:
    require_writable_uri(location, "engine.checkpoint")


@pytest.mark.parametrize("location", ["file:/dev/null/x", "file:///dev/null/x", "/dev/null/x"])
def test_a_local_uri_is_a_path(location: str) -> None:
    with pytest.raises(ConfigurationError, match=r"engine\.checkpoint /dev/null/x cannot be written: Not a directory"):
        require_writable_uri(location, "engine.checkpoint")


def test_what_is_to_be_read_must_be_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/null/x")):
        with pytest.raises(ConfigurationError, match=r"--lines .* cannot be read: \w"):
            require_readable_file(path, "--lines")
