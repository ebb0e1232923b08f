from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import SetupError
from streaming.local.java import find_java, parse_version


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', 17),
        ('openjdk version "21" 2023-09-19 LTS', 21),
        ('java version "1.8.0_392"\nJava(TM) SE', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"17.0.2\" 2022", 17),
        ("Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)  # fmt: skip
def test_every_vendors_version_line_is_understood(output: str, version: int | None) -> None:
    assert parse_version(output) == version


def a_java(folder: Path, says: str, code: int = 0) -> Path:
    """Put a program called java that prints ``says`` into ``folder/bin``."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["17.0.15", "21.0.2"])
def test_java_home_comes_before_the_path(tmp_path: Path, version: str) -> None:
    chosen = a_java(tmp_path / "home", f'openjdk version "{version}"')
    other = a_java(tmp_path / "path", 'openjdk version "17.0.1"')
    environment = {"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{other.parent}:/bin"}
    assert find_java(environment) == str(chosen)
    assert find_java({"PATH": environment["PATH"]}) == str(other)


@pytest.mark.parametrize(
    ("says", "code", "part"),
    [
        ('openjdk version "11.0.2"', 0, "Java 11, but"),
        ('java version "1.8.0_1"', 0, "Java 8, but"),
        ("Unable to locate a Java Runtime.", 1, "not a working Java"),
    ],
    ids=["too old", "far too old", "the stub of macOS"],
)
def test_a_java_that_will_not_do_is_named_with_what_to_install(tmp_path: Path, says: str, code: int, part: str) -> None:
    program = a_java(tmp_path, says, code)
    with pytest.raises(SetupError, match=part) as raised:
        find_java({"JAVA_HOME": str(tmp_path), "PATH": "/bin"})
    assert str(program) in str(raised.value)
    for system in ("apt-get install -y openjdk-17-jre-headless", "dnf install", "brew install"):
        assert system in str(raised.value)


def test_no_java_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not found on PATH") as raised:
        find_java({"PATH": str(tmp_path)})
    assert raised.value.exit_code == 2
