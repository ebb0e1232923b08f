"""Every verb with every path that cannot be: one sentence and exit code 2, before any service is asked.

The verbs and their paths come from the command's own tree, so that a new one is tried as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import typer

from jobs.command import main as cli
from tests.support.commands import environment

NOWHERE = ["--set", "kafka.bootstrap.servers=127.0.0.1:1", "--set", "model.tracking_uri=http://127.0.0.1:1"]
"""A verb that asked a service first would end with exit code 4."""
MADE = ("--out", "--rejected", "--html", "--json", "--compare", "--home")
"""Paths that a verb makes; folders above them that are missing are made, too."""
SETTINGS = {
    "score": ("model.cache_dir", "engine.checkpoint"),
    "serve": ("model.cache_dir",),
    "drift run": ("drift.checkpoint",),
    "batch": ("model.cache_dir",),
    "replay": ("model.cache_dir",),
    "drift baseline": ("model.cache_dir",),
    "export": ("model.cache_dir",),
    "shadow run": ("model.cache_dir",),
}
"""Paths in the configuration, by the verbs that write there."""
IN_THE_WORKING_FOLDER = {
    "up": [],
    "setup": [],
    "demo": [],
    "demo-rollout": [],
    "train": [],
    "score": [],
    "serve": [],
    "drift run": [],
    "batch": ["--in", "rows.jsonl", "--out", "out"],
    "drift baseline": ["--in", "rows.jsonl"],
    "replay": ["--out", "out", "--model-version", "1"],
    "record": ["--out", "out"],
    "export": ["--out", "out"],
    "shadow run": [],
}
"""Verbs that write where one stands, with what they need for it."""
WRITE_NOTHING = {
    "config", "down", "stop", "resume", "hold", "topics", "dlq", "ledger", "drift report", "bundle",
    "rollout", "quality", "fallback",
}  # fmt: skip
"""Verbs, and groups of verbs, that write nowhere unless they are told."""


class Option(NamedTuple):
    verb: str
    name: str
    others: tuple[str, ...]


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


VERBS = dict(verbs(typer.main.get_command(cli.app)))


def takes_a_path(parameter: Any) -> bool:
    return parameter.type_descriptor.annotation is Path or parameter.metavar in ("PATH", "PATH|-", "DIR", "FILE")


def options() -> Iterator[Option]:
    for verb, command in VERBS.items():
        for parameter in command.params:
            if takes_a_path(parameter):
                yield Option(verb, long_name(parameter), tuple(what_else(command, parameter)))


def long_name(parameter: Any) -> str:
    return str(max(parameter.opts, key=len))


def what_else(command: Any, tried: Any) -> Iterator[str]:
    """Yield what the verb needs beside, and services that do not answer."""
    if command.name == "at":
        yield from ("--event-id", "1")
    names = {long_name(parameter) for parameter in command.params}
    for parameter in command.params:
        if parameter.required and parameter is not tried:
            yield from [long_name(parameter)] if long_name(parameter).startswith("-") else []
            yield "rows.jsonl" if long_name(parameter) == "--in" else "1"
    if "--compare" in names:
        yield from ("--model-version", "1")
        yield from () if long_name(tried) in ("--out", "--compare") else ("--compare", "report")
    if "--set" in names:
        yield from NOWHERE


def bad_paths(name: str) -> dict[str, str]:
    odd = os.fsdecode(b"/dev/null/\xff\n")
    paths = {"below a file": "/dev/null/x", "too long": "x" * 300, "odd": odd, "unwritable": "/sys/penstock-x"}
    if name not in MADE:
        paths["missing"] = "nowhere/at/all"
    if name in ("--html", "--json"):
        paths["a folder"] = "."
    return paths


CASES = [
    pytest.param(option, path, id=f"{option.verb} {option.name} {kind}")
    for option in options()
    for kind, path in bad_paths(option.name).items()
    if (option.verb, option.name) != ("down", "--home")
]


@pytest.fixture
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")


def run(monkeypatch: pytest.MonkeyPatch, verb: str, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["penstock", *verb.split(), *arguments])
    # A verb sets variables of MLflow's for its process, and this one has other tests to run.
    with patch.dict(os.environ), pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    output = capsys.readouterr().err
    assert code == 2, output
    assert "Traceback" not in output
    assert "Error" not in output.partition("penstock: ")[2], output
    return output


@pytest.mark.usefixtures("_workplace")
@pytest.mark.parametrize(("option", "path"), CASES)
def test_a_path_that_cannot_be_is_one_sentence_that_names_it(
    option: Option, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = refused(capsys, run(monkeypatch, option.verb, option.name, path, *option.others))
    assert output.startswith("penstock: ")
    assert escaped(Path(path).name[:50]) in escaped(output)


def escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


@pytest.mark.usefixtures("_workplace")
@pytest.mark.parametrize(
    ("verb", "setting"),
    [pytest.param(verb, name, id=f"{verb} {name}") for verb, names in SETTINGS.items() for name in names],
)
@pytest.mark.parametrize(
    "path", ["/dev/null/x", "/sys/penstock-x", "x" * 300], ids=["below a file", "unwritable", "too long"]
)
def test_so_is_one_in_the_configuration_with_the_settings_name(
    verb: str, setting: str, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = IN_THE_WORKING_FOLDER.get(verb, [])
    output = refused(capsys, run(monkeypatch, verb, *extra, *NOWHERE, "--set", f"{setting}={path}"))
    assert f"penstock: {setting} {path} cannot be written" in output


@pytest.mark.parametrize(("verb", "extra"), IN_THE_WORKING_FOLDER.items(), ids=list(IN_THE_WORKING_FOLDER))
def test_a_working_folder_that_cannot_be_written_is_said_before_anything_starts(
    verb: str, extra: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"x": 1}\n')
    monkeypatch.chdir("/sys/kernel")
    arguments = [str(rows) if word == rows.name else word for word in extra]
    services: list[Any] = NOWHERE if "--set" in {name for p in VERBS[verb].params for name in p.opts} else []
    refused(capsys, run(monkeypatch, verb, *arguments, *services))


def test_every_verb_is_either_tried_in_a_folder_that_cannot_be_written_or_writes_nothing() -> None:
    unknown = [
        verb
        for verb in VERBS
        if verb not in IN_THE_WORKING_FOLDER and not WRITE_NOTHING.intersection((verb, verb.split()[0]))
    ]
    assert unknown == []


def test_a_working_folder_that_was_removed_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'cd "$1" && rmdir "$1" && exec "$2" -m penstock setup'
    done = subprocess.run(
        ["sh", "-c", command, "sh", str(gone), sys.executable],
        env=environment(), capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "working folder" in done.stderr
