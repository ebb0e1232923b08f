"""What a batch finds on the disk: which files, of which format, and with which digests."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from streaming.batch.files import format_of, is_delta, list_files, local, named_format, suffix_format
from streaming.errors import ConfigurationError


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def found(given: Path, below: Path) -> list[str]:
    return [path.relative_to(below).as_posix() for path in list_files(given).paths]


def test_a_folder_is_listed_with_all_below_it_but_what_is_hidden(tmp_path: Path) -> None:
    make(tmp_path, "b.csv", "a.csv", "month=1/c.csv", "_x=1/d.csv", "_SUCCESS", ".a.csv.crc", "_tmp/e.csv", ".h/f.csv")
    assert found(tmp_path, tmp_path) == ["_x=1/d.csv", "a.csv", "b.csv", "month=1/c.csv"]
    assert list_files(tmp_path).base == tmp_path


def test_a_file_is_listed_by_itself(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.csv")
    assert found(tmp_path / "a.csv", tmp_path) == ["a.csv"]


def test_a_pattern_counts_column_folders_from_above_it(tmp_path: Path) -> None:
    make(tmp_path, "in/month=1/a.csv", "in/month=2/b.csv", "in/year=1/c.csv")
    listing = list_files(tmp_path / "in" / "month=*")
    assert [path.name for path in listing.paths] == ["a.csv", "b.csv"]
    assert listing.base == tmp_path / "in"


def test_a_name_with_brackets_is_a_name_if_there_is_such_a_file(tmp_path: Path) -> None:
    make(tmp_path, "a[1].csv", "a1.csv")
    assert found(tmp_path / "a[1].csv", tmp_path) == ["a[1].csv"]


@pytest.mark.parametrize("name", ["absent", "absent.csv", "*.csv", "empty"])
def test_an_input_without_files_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="there is no file"):
        list_files(tmp_path / name)


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    (file,) = list_files(make(tmp_path, "a.csv")).digested()
    assert (file.path, file.bytes, file.sha256) == (str(tmp_path / "a.csv"), 5, sha256(b"a.csv").hexdigest())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.parquet", "parquet"),
        ("a.CSV.GZ", "csv"),
        ("a.snappy.parquet", "parquet"),
        ("a.ndjson.zst", "json"),
        ("a", None),
    ],
)
def test_a_suffix_names_a_format(name: str, expected: str | None) -> None:
    assert suffix_format(Path(name)) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [(("a.csv", "b.json"), "the files are csv and json"), (("a.csv", "b.txt"), r"b\.txt has no suffix for it")],
    ids=["two formats", "none"],
)
def test_a_format_that_is_not_clear_must_be_given(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        format_of(map(Path, names))


def test_delta_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert is_delta(make(tmp_path, "_delta_log/0.json"))
    with pytest.raises(ConfigurationError, match="to Parquet first"):
        named_format("--format", "delta")


def test_only_paths_are_taken() -> None:
    assert local("--in", "file:///data/in") == Path("/data/in")
    assert local("--in", "in") == Path.cwd() / "in"
    with pytest.raises(ConfigurationError, match="--out s3a://bucket/x is not a path"):
        local("--out", "s3a://bucket/x")
