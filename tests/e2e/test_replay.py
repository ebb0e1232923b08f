"""What ``penstock replay`` refuses before anything is started."""

from __future__ import annotations

import pytest

from jobs.command import main as cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--out", "x"], "say which version", id="no version"),
        pytest.param(["--as-served", "--alias", "a", "--out", "x"], "say which version", id="two versions"),
        pytest.param(["--as-served"], "say where to replay to", id="no sink"),
        pytest.param(["--as-served", "--out", "x", "--to-topic", "y"], "say where to replay to", id="two sinks"),
        pytest.param(["--as-served", "--out", "x", "--speed", "2"], "applies to --to-topic only", id="paced Parquet"),
        pytest.param(["--as-served", "--to-topic", "y", "--speed", "nan"], "original, max, or a number", id="speed"),
        pytest.param(["--as-served", "--to-topic", "y", "--compare", "z"], "as Parquet", id="comparison of a topic"),
        pytest.param(["--as-served", "--out", "x", "--labels", "l"], "say with --compare", id="labels alone"),
        pytest.param(["--as-served", "--compare", "x", "--metric", "acc"], "--metric acc is not valid", id="no metric"),
    ],
)
def test_an_order_that_contradicts_itself_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("sys.argv", ["penstock", "replay", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
