"""The documentation site has every page, at a path where the pages' links lead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.build.docs_site import LINK, gather

ROOT = Path(__file__).resolve().parents[2]
SITE: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def pages(entry: Any) -> Iterator[str]:
    """The paths in a navigation, at any depth."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(part)


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_every_page_is_in_the_navigation_once() -> None:
    written = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(page for page in pages(SITE["nav"]) if page.startswith("docs/")) == written


def test_the_navigation_follows_the_path_of_a_user() -> None:
    assert [next(iter(section)) for section in SITE["nav"]] == ["Start", "Use", "Operate", "Understand", "Contribute"]


def test_the_site_takes_no_font_from_another_host() -> None:
    assert SITE["theme"]["font"] is False


def test_every_page_of_the_repository_that_is_gathered_is_in_the_navigation(tmp_path: Path) -> None:
    gathered = {path.as_posix() for path in gather(ROOT, tmp_path / "site") if path.suffix == ".md"}
    assert gathered == set(pages(SITE["nav"]))


def test_every_link_of_a_gathered_page_leads_to_a_gathered_file(tmp_path: Path) -> None:
    target = tmp_path / "site"
    gather(ROOT, target)
    texts = {page: page.read_text() for page in target.rglob("*.md")}
    assert [
        (page, to) for page, text in texts.items() for to in LINK.findall(text) if not (page.parent / to).exists()
    ] == []


def test_pages_and_what_they_link_to_are_gathered_and_nothing_else(tmp_path: Path) -> None:
    root, target = tmp_path / "root", tmp_path / "site"
    write(root, dict.fromkeys(("CONTRIBUTING.md", "CHANGELOG.md", "secret.yaml", "docs/images/a.svg"), ""))
    write(
        root,
        {"README.md": "[settings](app.yaml), [mail](mailto:a@b.c), [site](https://b.c), [here](#x)", "app.yaml": ""},
    )
    write(
        root,
        {"docs/use.md": "[bench](../bench/README.md#run)", "bench/README.md": "[code](run.py)", "bench/run.py": ""},
    )
    write(target, {"old.md": ""})
    copied = [path.as_posix() for path in gather(root, target)]
    assert copied == sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    linked = {"app.yaml", "bench/README.md", "bench/run.py"}
    assert set(copied) == {"CHANGELOG.md", "CONTRIBUTING.md", "README.md", "docs/images/a.svg", "docs/use.md"} | linked


def test_a_link_to_a_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "root", {"README.md": "[gone](gone.yaml)", "CONTRIBUTING.md": "", "CHANGELOG.md": ""})
    with pytest.raises(FileNotFoundError, match="gone"):
        gather(tmp_path / "root", tmp_path / "site")
