from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import structlog
import yaml

from jobs.command import main as cli
from jobs.process.logs import configure_logging
from streaming.errors import DataError, FencedError, OffsetGapError, PenstockError, SetupError
from streaming.settings import LogSettings, Settings
from streaming.version import __version__


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
    with pytest.raises(SystemExit) as raised:
        cli.main()
    return int(raised.value.code or 0)


def test_it_says_its_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"penstock {__version__}\n"


def test_help_names_every_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    verbs = (
        "up",
        "down",
        "setup",
        "train",
        "score",
        "stop",
        "resume",
        "hold",
        "demo",
        "config",
        "ledger",
        "dlq",
        "drift",
        "record",
        "replay",
    )
    assert [verb for verb in verbs if f" {verb} " not in shown] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PenstockError("x"), 1),
        (SetupError("x"), 2),
        (DataError("x"), 3),
        (OffsetGapError("x"), 3),
        (FencedError("x"), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_raised_on_purpose_is_one_message_and_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: PenstockError, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("jobs.verbs.up.run.stop", fail)
    assert run(monkeypatch, "down") == code
    captured = capsys.readouterr()
    assert captured.err == "penstock: x\n"
    assert captured.out == ""


def test_a_full_disk_is_a_message_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/file")

    monkeypatch.setattr("jobs.verbs.up.run.stop", fail)
    assert run(monkeypatch, "down") == 2
    assert "The disk is full (/somewhere/file)" in capsys.readouterr().err


def test_show_prints_yaml_that_can_be_read_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "config", "show", "--set", "input.topic=clicks") == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["input"]["topic"] == "clicks"
    file = tmp_path / "penstock.yaml"
    file.write_text(shown)
    assert run(monkeypatch, "config", "validate", "--config", str(file)) == 0


def test_validate_ends_with_2_for_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "config", "validate", "--set", "model.alais=x") == 2
    assert "did you mean alias?" in capsys.readouterr().err


def test_the_schema_knows_every_section(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "config", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) == set(Settings.model_fields)
    assert schema["additionalProperties"] is False


def test_our_lines_and_libraries_lines_are_both_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"), sys.stderr)
    structlog.get_logger("penstock.test").info("model_swapped", version=4)
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("mlflow.tracking").info("chatter")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [(line["event"], line["level"]) for line in lines] == [("model_swapped", "info"), ("it is late", "warning")]
    assert lines[0]["version"] == 4
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_library_does_not_log_that_it_was_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="error"), sys.stderr)
    for problem in (KeyboardInterrupt(), OSError("the JVM is gone")):
        try:
            raise problem
        except BaseException:
            # As py4j does, by the root logger.
            logging.exception("%s while sending command.", type(problem).__name__)
    shown = capsys.readouterr().err
    assert "KeyboardInterrupt" not in shown
    assert "the JVM is gone" in shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_logged_traceback_does_not_show_local_variables(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging(LogSettings.model_validate({"format": form}), sys.stderr)
    password = "hunter" + str(2)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert password not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["topics", "--create", "--partitions", "-3"], id="topics"),
        pytest.param(["dlq", "list", "--partition", "-1"], id="dlq"),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anything_is_asked(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert f"Invalid value for '{arguments[-2]}'" in capsys.readouterr().err
