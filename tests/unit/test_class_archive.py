"""The archive of Spark's classes is found by what Java compares, and is made as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streaming.errors import SetupError
from streaming.local.class_archive import find_archive, make_archive, using


def a_java(folder: Path, script: str = "exit 0") -> str:
    """Put a program called java that runs ``script`` into ``folder/bin``."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


# Spark's launcher asks java for the command of the JVM: after a line with a NUL, each word with a NUL at its end.
WRITES_AN_ARCHIVE = """\
for word in "$@"; do
  case "$word" in *ArchiveClassesAtExit=*) archive=${word#*AtExit=}; archive=${archive%% *};; esac
done
printf '\\0\\nsh\\0-c\\0echo classes > %s; exit CODE\\0' "$archive"
"""


def making(folder: Path, java: str) -> Path:
    environment = {**os.environ, "JAVA_HOME": str(Path(java).parents[1])}
    return make_archive(folder, java, "-Done=1", environment)


def test_an_archive_is_for_one_java(tmp_path: Path) -> None:
    java = a_java(tmp_path / "java", WRITES_AN_ARCHIVE.replace("CODE", "0"))
    home = tmp_path / "home"
    assert find_archive([home], java) is None
    made = making(home, java)
    assert made.read_text() == "classes\n"
    assert find_archive([tmp_path / "other", home], java) == made
    assert find_archive([home], a_java(tmp_path / "another")) is None
    os.utime(java, (1, 1))
    assert find_archive([home], java) is None


def test_a_java_that_fails_leaves_no_archive(tmp_path: Path) -> None:
    java = a_java(tmp_path / "java", WRITES_AN_ARCHIVE.replace("CODE", "1"))
    with pytest.raises(SetupError):
        making(tmp_path / "home", java)
    assert list((tmp_path / "home" / "class-archive").iterdir()) == []


def test_a_java_that_takes_too_long_is_a_java_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.local.class_archive.MAKING_SECONDS", 0.5)
    java = a_java(tmp_path / "java", WRITES_AN_ARCHIVE.replace("exit CODE", "exec sleep 30"))
    with pytest.raises(SetupError, match=r"longer than 0\.5 s"):
        making(tmp_path / "home", java)
    assert list((tmp_path / "home" / "class-archive").iterdir()) == []


def test_a_path_with_spaces_is_one_word_of_the_options() -> None:
    assert using(Path("/a b/c.jsa")).split(" -X")[0] == "-XX:SharedArchiveFile='/a b/c.jsa'"
