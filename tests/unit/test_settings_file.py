"""``penstock.yaml``, which is said to show every setting with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from streaming.settings import Settings

TEXT = (Path(__file__).parents[2] / "penstock.yaml").read_text("utf-8")
SECTIONS = [name for name, field in Settings.model_fields.items() if isinstance(field.default, BaseModel)]
FOR_TESTS = {"engine.failpoints"}
NO_DEFAULT = {"model.alias"}
"""Shown with a value of the example's: without a selector nothing would serve."""


def shown(section: str) -> Iterator[str]:
    """Yield the keys that a section's lines show, those that are commented out as well."""
    lines = TEXT.splitlines()
    for line in lines[lines.index(next(line for line in lines if re.match(rf"(# )?{section}:", line))) + 1 :]:
        if re.match(r"(# )?\w", line):
            return
        if (key := re.match(r"#? +(?:# )?(\w+):", line)) is not None:
            yield key[1]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_has_a_line_for_each_setting(section: str) -> None:
    fields = getattr(Settings(), section).__class__.model_fields
    names = {field.alias or name for name, field in fields.items() if f"{section}.{name}" not in FOR_TESTS}
    assert names - set(shown(section)) == set()


def test_each_value_of_the_example_is_the_default() -> None:
    written: dict[str, Any] = yaml.safe_load(TEXT)
    defaults = Settings().model_dump(mode="json", by_alias=True)
    others = {
        f"{section}.{key}"
        for section, values in written.items()
        if isinstance(values, dict)
        for key, value in values.items()
        if defaults[section][key] != value
    }
    assert others == NO_DEFAULT
