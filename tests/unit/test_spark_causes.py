"""The words of a failed job that a user is shown."""

from __future__ import annotations

import pytest

from streaming.spark.causes import root_cause

TRACE = """[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback (most recent call last):
  File "text.py", line 110, in _records
    raise OSError(problem)
    ^^^^^^^^^^^^^^^^^^^^^^
OSError: reading /in/a.json.gz: Truncated compressed stream
 SQLSTATE: 38000"""


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        pytest.param(ValueError("no such stage\nat line 1"), "no such stage", id="the first line"),
        pytest.param(ValueError(TRACE), "OSError: reading /in/a.json.gz: Truncated compressed stream", id="of Python"),
        pytest.param(ValueError(), "ValueError", id="no words"),
    ],
)
def test_the_cause_is_one_line(problem: Exception, expected: str) -> None:
    assert root_cause(problem) == expected
