from __future__ import annotations

import ast
from pathlib import Path

import pytest

from jobs.build import bootstrap


@pytest.mark.parametrize("version", [(2, 7), (3, 8), (3, 9)])
def test_an_old_python_is_told_what_to_install(version: tuple[int, int]) -> None:
    with pytest.raises(bootstrap.UnfitError, match=r"3\.10 or newer is needed") as raised:
        bootstrap.check_python(version)
    assert "make setup PYTHON=" in str(raised.value)


@pytest.mark.parametrize("version", [(3, 10), (3, 13), (4, 0)])
def test_a_new_python_will_do(version: tuple[int, int]) -> None:
    bootstrap.check_python(version)


def test_python_3_8_can_parse_it_and_needs_nothing_installed(root: Path) -> None:
    tree = ast.parse((root / "jobs" / "build" / "bootstrap.py").read_text(), feature_version=(3, 8))
    top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    top |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert top == {"__future__", "hashlib", "os", "shutil", "subprocess", "sys", "pathlib", "re"}


def test_a_small_disk_is_noticed_before_the_download() -> None:
    with pytest.raises(bootstrap.UnfitError, match=r"1\.0 GB are free"):
        bootstrap.check_disk(1024**3)
    bootstrap.check_disk(4 * 1024**3)


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying (Retry(total=4)) ... Temporary failure in name resolution", "Check the network"),
        ("The virtual environment was not created because ensurepip is not available.", "python3-venv"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "refused"),
        ("error: something new", "something new"),
    ],
    ids=["disk", "network", "ensurepip", "hash", "other"],
)
def test_a_failed_step_is_explained(output: str, part: str) -> None:
    assert part in bootstrap.explain(output)
