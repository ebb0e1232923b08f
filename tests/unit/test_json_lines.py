"""Files that are JSON, and not JSON lines: seen by how they begin."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from streaming.errors import ConfigurationError
from streaming.json_lines import refuse_document

EVENTS = [{"id": "a", "tags": [1, 2]}, {"id": "b", "tags": []}]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(EVENTS, indent=2), id="pretty"),
        pytest.param("\n\n" + json.dumps(EVENTS, indent=0), id="behind blank lines"),
        pytest.param("\ufeff" + json.dumps(EVENTS, indent=2), id="behind a byte order mark"),
        pytest.param(json.dumps(EVENTS), id="in one line"),
        pytest.param("[" + ",\n".join(map(json.dumps, EVENTS)) + "]", id="one object a line"),
        pytest.param(json.dumps(EVENTS * 50_000), id="in one line of more than a megabyte"),
    ],
)
def test_an_array_is_refused_with_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"a\.json looks like a JSON array and not like JSON lines.*jq -c"):
        refuse_document(tmp_path / "a.json")


def test_an_object_over_several_lines_is_refused_also_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(EVENTS[0], indent=1).encode()))
    with pytest.raises(ConfigurationError, match="looks like a JSON object over several lines"):
        refuse_document(tmp_path / "a.json.gz")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("\n \n", id="blank lines"),
        pytest.param("\n".join(map(json.dumps, EVENTS)), id="lines"),
        pytest.param('[{"id": "a"}]\n{"id": "b"}\n', id="an array as the first event"),
        pytest.param("[1, 2]\n", id="an array of numbers as the only event"),
        pytest.param('{"id": "a\n{"id": "b"}\n', id="a first event that is cut off"),
        pytest.param("{", id="an only event that is cut off"),
        pytest.param("[" * 100_000 + "\n{}", id="an event that is too deep"),
    ],
)
def test_what_is_wrong_with_a_line_is_left_to_the_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    refuse_document(tmp_path / "a.json")
