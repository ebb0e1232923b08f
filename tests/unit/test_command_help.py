"""Every verb's help: sentences, examples that the command line takes, and the same word for the same thing."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from jobs.command import main as cli

SAME = {
    "--from": "TIME",
    "--to": "TIME",
    "--to-topic": "TOPIC",
    "--model-version": "N [x>=1]",
    "--json": "PATH|-",
    "--html": "PATH",
    "--config": "FILE",
    "--set": "KEY=VALUE",
    "--alias": "ALIAS",
}
"""Options that several verbs have, with what each of them takes."""
OLD = ("--since", "--until", "--version")


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


ROOT: Any = typer.main.get_command(cli.app)
VERBS = dict(verbs(ROOT))
every_verb = pytest.mark.parametrize("verb", list(VERBS))


def examples(command: Any) -> list[str]:
    return [line[2:] for line in (command.epilog or "").split("\n\n") if line.startswith("$ ")]


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *verb: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["penstock", *verb, "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    return capsys.readouterr().out


@every_verb
def test_a_verb_shows_examples_that_its_own_parser_takes(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = examples(VERBS[verb])
    assert lines
    printed = shown(monkeypatch, capsys, *verb.split())
    for line in lines:
        assert line in printed
        words = shlex.split(line.partition(" > ")[0])
        assert words[: 1 + len(verb.split())] == ["penstock", *verb.split()]
        VERBS[verb].make_context(verb, words[1 + len(verb.split()) :])


@every_verb
def test_every_help_text_is_sentences_that_begin_with_what_is_done(verb: str) -> None:
    command = VERBS[verb]
    texts = {verb: command.help}
    texts |= {parameter.name: parameter.help for parameter in command.params if parameter.name != "help"}
    wrong = {
        name: text
        for name, text in texts.items()
        if not text or not re.match(r"[A-Z][a-z]+ ", text) or not text.endswith(".") or text.startswith(("Of ", "The "))
    }
    assert wrong == {}


@every_verb
def test_the_same_option_takes_the_same_thing_in_every_verb(verb: str) -> None:
    for parameter in VERBS[verb].params:
        for name in set(parameter.opts) & set(SAME):
            assert parameter.metavar == SAME[name].partition(" ")[0], f"{verb} {name}"
            assert not getattr(parameter, "is_flag", False)


@every_verb
def test_an_old_spelling_is_in_no_help(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not re.findall(rf"({'|'.join(OLD)})\b", shown(monkeypatch, capsys, *verb.split()))


def test_the_help_groups_the_verbs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    printed = shown(monkeypatch, capsys)
    order = ["─ Run ", " train ", " score ", "─ Look ", " ledger ", "─ Prove ", " replay ", "─ Local services ", " up "]
    places = [printed.index(text) for text in order]
    assert places == sorted(places)
    assert "─ Commands " not in printed


def test_the_order_of_the_help_names_each_verb_once_and_no_other() -> None:
    assert sorted(cli.VERBS) == sorted(ROOT.commands)
