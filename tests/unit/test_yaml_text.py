from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streaming.yaml_text import YamlTextError, read_yaml

KEYS = st.text("abcdefgh.-_", min_size=1, max_size=5)
LEAVES = st.none() | st.booleans() | st.integers() | st.text("ab:#-'\"{} \n~", max_size=6)
TREES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4))
)


@given(TREES, st.booleans())
def test_what_is_said_once_is_read_as_the_safe_loader_reads_it(tree: Mapping[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow)
    assert read_yaml(text) == yaml.safe_load(text) == tree


@given(TREES, st.lists(KEYS, max_size=3), KEYS, LEAVES)
def test_a_key_written_twice_is_refused_at_every_depth(
    tree: Mapping[str, Any], above: Sequence[str], key: str, value: object
) -> None:
    line = yaml.safe_dump({key: value}, default_flow_style=True, width=1000).strip()[1:-1]
    pair: Any = f"{{{line}, {line}}}"
    for name in above:
        pair = f"{{{yaml.safe_dump(name).splitlines()[0]}: {pair}}}"
    text = yaml.safe_dump([dict(tree)], default_flow_style=True, width=10_000).strip()[:-1] + f", {pair}]"
    with pytest.raises(YamlTextError, match="written twice"):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "key", "where"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "a", "lines 1 and 3", id="section"),
        pytest.param("m:\n  x: 1\n  y: 2\n\n  x: 3\n", "x", "lines 2 and 5", id="key of a section"),
        pytest.param("s:\n  conf:\n    k.e: 1\n    k.e: 1\n", "k.e", "lines 3 and 4", id="deep, and the same value"),
        pytest.param("l:\n- {a: 1}\n- {b: 1, b: 2}\n", "b", "line 3", id="within a list"),
        pytest.param("on: 1\ntrue: 2\n", "true", "lines 1 and 2", id="two spellings of one key"),
        pytest.param("'a': 1\n? a\n: 2\n", "a", "lines 1 and 2", id="quoted and plain"),
    ],
)
def test_a_key_written_twice_is_named_with_both_lines(text: str, key: str, where: str) -> None:
    with pytest.raises(YamlTextError, match=rf"the key {key} is written twice.* {where};"):
        read_yaml(text)


def test_a_merge_may_be_overridden_and_used_again() -> None:
    text = "base: &b {k: 1, m: 2}\nfirst: &f {<<: *b, k: 3}\nsecond: {<<: *f, k: 4}\n"
    assert read_yaml(text)["second"] == {"k": 4, "m": 2}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("password: hunter2\n  x: y\n", ["line 2"], id="wrong indentation"),
        pytest.param("password: *hunter2\n", ["line 1", "quotes"], id="an alias by mistake"),
        pytest.param("password: !hunter2 x\n", ["line 1", "quotes"], id="a tag by mistake"),
        pytest.param("password: @hunter2\n", ["line 1", "'@'", "quotes"], id="a reserved character"),
        pytest.param('password: "hunter2\n', ["line 2"], id="a quote never closed"),
        pytest.param("a: [hunter2\n", ["line 2", "expected ',' or ']', but got '<"], id="a list never closed"),
        pytest.param("a:\n\tpassword: hunter2\n", ["line 2", "a tab"], id="a tab"),
        pytest.param("password: !!int hunter2\n", ["line 1"], id="no number"),
        pytest.param("a: 2026-02-31\n", ["line 1", "date"], id="no date"),
        pytest.param("a: &x {b: *x}\n", ["line 1", "contains itself"], id="a loop"),
        pytest.param("password: hunter2\n---\nb: 1\n", ["line 2", "another document"], id="two documents"),
        pytest.param("password: hunter2\x00\n", ["not allowed"], id="a control character"),
        pytest.param(b"password: hunter2\xff\n", [""], id="no UTF-8"),
        pytest.param("[" * 5_000, ["deep"], id="too deep"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_values_around_it(text: str | bytes, parts: list[str]) -> None:
    with pytest.raises(YamlTextError) as raised:
        read_yaml(text)
    assert [part for part in parts if part not in str(raised.value)] == []
    assert "hunter2" not in str(raised.value)
