"""Two times that somebody gave."""

from __future__ import annotations

import pytest

from jobs.verbs.dlq.options import SelectionOptions
from jobs.wiring.stretch import Stretch
from streaming.clock import Period, isoformat
from streaming.drift.report.options import DriftReportOptions
from streaming.errors import ConfigurationError


@pytest.mark.parametrize(
    ("since", "until"),
    [
        pytest.param("2013-01-02", "2013-01-01", id="turned round"),
        pytest.param("2013-01-01", "2013-01-01T00:00:00Z", id="the same"),
        pytest.param("2013-01-01T01:30", "2013-01-01T02:00+01:00", id="turned round by their zones"),
    ],
)
def test_a_stretch_that_ends_before_it_begins_is_refused_wherever_one_is_given(since: str, until: str) -> None:
    with pytest.raises(ConfigurationError, match=r"train\.to_time .* ends before it begins"):
        Period.parsed(("train.from_time", "train.to_time"), since, until)
    with pytest.raises(ConfigurationError, match=r"--to .* is not after --from"):
        Stretch(since, until).span()
    with pytest.raises(ConfigurationError, match=r"--to .* is not after --from"):
        SelectionOptions([], since, until, []).selection()
    with pytest.raises(ConfigurationError, match=r"--to .* is not after --from"):
        DriftReportOptions(since, until).period()


def test_a_period_may_be_open() -> None:
    assert Period.parsed(("--from", "--to"), None, None) == Period()
    begun = Period.parsed(("--from", "--to"), "2013-01-01", None).since
    assert begun is not None
    assert isoformat(begun) == "2013-01-01T00:00:00.000Z"
