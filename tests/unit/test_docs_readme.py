"""What the documentation says about the code can be looked up in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from jobs.configuration.load import load_settings
from jobs.verbs.rollout.plan_file import read_plan
from streaming.settings import Settings
from tests.support.documents import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
SECTIONS = "|".join(name for name in Settings.model_fields if name != "application")
SETTING = re.compile(rf"`((?:{SECTIONS})\.[a-z_.]+)`")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def is_setting(name: str) -> bool:
    section, _, key = name.partition(".")
    if section in ("kafka", "spark"):
        return True
    result = Settings.model_fields[section].default
    return all(part in type(result).model_fields for part in key.split(".")[:1])


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    assert [name for name in SETTING.findall(page.read_text()) if not is_setting(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_yaml_block_is_a_valid_configuration(page: Path, tmp_path: Path) -> None:
    for _, text in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(text), dict)
        (tmp_path / "penstock.yaml").write_text(text)
        load_settings(tmp_path / "penstock.yaml", [], {"KAFKA_PASSWORD": "x", "REDIS_PASSWORD": "x"})


def test_the_plan_of_a_rollout_can_be_declared(tmp_path: Path) -> None:
    ((_, text),) = blocks(ROOT / "docs" / "rollout.md", "yml")
    (tmp_path / "rollout.yaml").write_text(text)
    assert [step.share for step in read_plan(tmp_path / "rollout.yaml").plan.steps] == [0.05, 0.25]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_python_block_compiles(page: Path) -> None:
    for _, text in blocks(page, "python"):
        compile(text, str(page), "exec")
