"""What a command says and ends with, whatever reached the top."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from jobs.process.ending import ending
from streaming.errors import ConfigurationError, FencedError


class Row(BaseModel):
    number: int


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Row.model_validate({"number": "seven"})
    return caught.value


def system_error(number: int, path: str | None = None, other: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path, None, other)


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        pytest.param(ConfigurationError("set a.b"), "set a.b", 2, id="raised on purpose"),
        pytest.param(FencedError("overtaken"), "overtaken", 5, id="its own code"),
        pytest.param(
            system_error(errno.EROFS, "/ro/x"), "/ro/x cannot be used: Read-only file system.", 2, id="read-only"
        ),
        pytest.param(
            system_error(errno.ENAMETOOLONG, "x" * 300),
            f"{'x' * 300} cannot be used: File name too long.",
            2,
            id="long",
        ),
        pytest.param(system_error(errno.EXDEV, "/a", "/b"), "/b cannot be used:", 2, id="of two paths the target"),
        pytest.param(system_error(errno.ENOSPC, "/full/x"), "The disk is full (/full/x).", 2, id="full disk"),
        pytest.param(system_error(errno.EDQUOT), "The disk is full (no file named).", 2, id="quota"),
        pytest.param(system_error(errno.ECONNREFUSED), "Unexpected ConnectionRefusedError:", 1, id="no path in it"),
        pytest.param(invalid(), "Unexpected ValidationError: 1 validation error for Row.", 1, id="pydantic"),
        pytest.param(KeyError("topic"), "Unexpected KeyError: 'topic'.", 1, id="a mistake of ours"),
        pytest.param(RuntimeError("\n\nfirst\nsecond"), "Unexpected RuntimeError: first.", 1, id="several lines"),
        pytest.param(AssertionError(), "Unexpected AssertionError: no message.", 1, id="no message"),
    ],
)
def test_an_error_ends_the_command_with_a_sentence_and_a_code(
    error: Exception, message: str, code: int, tmp_path: Path
) -> None:
    output = ending(error, [tmp_path])
    assert output.message.startswith(message)
    assert output.code == code


def test_a_surprise_is_one_line_and_its_trace_is_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    try:
        raise KeyError("topic")
    except KeyError as error:
        output = ending(error, [Path("/dev/null/x"), tmp_path / "made"])
    (file,) = (tmp_path / "made").iterdir()
    assert f"The stack trace is in {file};" in output.message
    assert "\n" not in output.message
    assert "Traceback" in file.read_text()
    assert "KeyError: 'topic'" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_surprise_where_nothing_can_be_written_is_one_line_all_the_same() -> None:
    assert "could be written to none of /dev/null/x" in ending(KeyError("topic"), [Path("/dev/null/x")]).message


def test_two_surprises_leave_two_files(tmp_path: Path) -> None:
    for _ in range(2):
        ending(KeyError("topic"), [tmp_path])
    assert len(list(tmp_path.iterdir())) == 2
