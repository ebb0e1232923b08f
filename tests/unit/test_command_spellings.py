"""Old spellings of options mean what they meant, and everything else is left as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.command import main as cli
from jobs.command.spellings import current
from jobs.terminal.json_output import JsonOutput
from jobs.verbs.ledger.options import LedgerShowOptions
from streaming.errors import ConfigurationError


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("dlq list --since 2026-01-01 --until 2026-02-01", "dlq list --from 2026-01-01 --to 2026-02-01"),
        pytest.param("dlq list --since=2026-01-01", "dlq list --from=2026-01-01"),
        pytest.param("dlq replay --since 2026-01-01 --send", "dlq replay --from 2026-01-01 --send"),
        pytest.param("dlq replay --until noon", "dlq replay --to noon"),
        pytest.param("dlq replay --to retry --send", "dlq replay --to-topic retry --send"),
        pytest.param("dlq replay --to=retry", "dlq replay --to-topic=retry"),
        pytest.param("dlq replay --to 2026-01-01", "dlq replay --to 2026-01-01"),
        pytest.param("dlq replay --json 0:17", "dlq replay --json - 0:17"),
        pytest.param("ledger show --since 2026-01-01", "ledger show --from 2026-01-01"),
        pytest.param("drift report --version 3", "drift report --model-version 3"),
        pytest.param("ledger at --json --event-id 1", "ledger at --json - --event-id 1"),
        pytest.param("record --out x --json", "record --out x --json -"),
        pytest.param("drift report --json report.json", "drift report --json report.json"),
        pytest.param("drift report --json=report.json", "drift report --json=report.json"),
        pytest.param("dlq list --json - --limit 1", "dlq list --json - --limit 1"),
        pytest.param("dlq replay -- --since --json", "dlq replay -- --since --json"),
        pytest.param("--version", "--version"),
        pytest.param("", ""),
    ],
    ids=lambda text: text or "nothing",
)
def test_an_old_spelling_means_the_new_one(old: str, new: str) -> None:
    assert current(old.split()) == new.split()


WORDS = st.lists(
    st.sampled_from(["dlq", "list", "replay", "drift", "report", "--json", "--since", "--to", "-", "--", "x", "0:1"])
)


@given(WORDS)
def test_a_current_spelling_stays(words: list[str]) -> None:
    assert current(current(words)) == current(words)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("option", ["--from", "--since"])
def test_both_spellings_reach_the_verb(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    asked: list[str | None] = []

    def latest(_: object, __: object, options: LedgerShowOptions) -> list[Any]:
        asked.append(options.since)
        return []

    monkeypatch.setattr("jobs.verbs.ledger.run.latest", latest)
    assert run(monkeypatch, "ledger", "show", option, "2026-11-20") == 0
    assert asked == ["2026-11-20"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(["--json", "-"], '{"type": "lease", "at": "t", "epoch": 3}\n', id="standard output"),
        pytest.param(["--json"], '{"type": "lease", "at": "t", "epoch": 3}\n', id="the old flag"),
    ],
)
def test_json_on_standard_output_is_alone_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    monkeypatch.setattr("jobs.verbs.ledger.run.latest", lambda *_: [{"type": "lease", "at": "t", "epoch": 3}])
    assert run(monkeypatch, "ledger", "show", *arguments) == 0
    assert capsys.readouterr().out == text


def test_json_in_a_file_stands_beside_the_text_for_people(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    records = [{"type": "lease", "at": "t", "epoch": 3}, {"type": "lease", "at": "u", "epoch": 4}]
    monkeypatch.setattr("jobs.verbs.ledger.run.latest", lambda *_: records)
    file = tmp_path / "new" / "ledger.jsonl"
    assert run(monkeypatch, "ledger", "show", "--json", str(file)) == 0
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == records
    assert "epoch 4" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--json .* cannot be written"):
        JsonOutput(str(tmp_path))


def test_without_a_path_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    output = JsonOutput()
    output.write({"a": 1})
    assert (capsys.readouterr().out, output.replaces_text) == ("", False)
