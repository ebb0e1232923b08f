"""``ledger show --type``: a type that no record has is a mistake, not an empty table."""

from __future__ import annotations

import pytest

from jobs.verbs.ledger.options import LedgerShowOptions
from schemas.model_event import EventType
from streaming.errors import ConfigurationError
from streaming.ledger.plan import RECORD_TYPES


@pytest.mark.parametrize("type_", [*RECORD_TYPES, *(kind.value for kind in EventType)])
def test_every_type_that_is_written_can_be_asked_for(type_: str) -> None:
    LedgerShowOptions(1, [type_]).check()


@pytest.mark.parametrize(
    ("types", "message"),
    [
        pytest.param(["nosuch"], "--type nosuch is not in the ledger; the types are lease, start,", id="unknown"),
        pytest.param(["plan", "swaps"], "--type swaps is not in the ledger; did you mean swap?", id="nearly"),
        pytest.param(["PLAN"], "--type PLAN is not in the ledger", id="case"),
        pytest.param([""], "--type  is not in the ledger", id="empty"),
    ],
)
def test_any_other_is_refused_with_those_that_there_are(types: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LedgerShowOptions(1, types).check()
    assert str(caught.value).startswith(message)
