"""What a job goes back to: the versions that served before, as the file of the last good version remembers them."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from streaming.errors import CandidateRefusedError
from streaming.models.candidate import Preparation
from streaming.models.last_good import LastGood
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def recalled(preparation: Preparation, saved: LastGood, held: frozenset[ModelKey]) -> Iterator[ServedModel]:
    """Yield what served before and may serve again, the youngest first; each is loaded when it is asked for."""
    for key, digest in saved.served:
        if key in held:
            continue
        try:
            if model := preparation.recall(key, digest):
                yield model
        except CandidateRefusedError as problem:
            _log.warning("version that served before cannot be loaded", version=key.version, problem=str(problem))


def serves_still(saved: LastGood) -> str:
    """Say what becomes of the serving version once it is on hold, as it is easily taken for stopped."""
    good = next((key for key, _ in saved.served if key not in saved.held), None)
    restart = "a restart has nothing to serve" if good is None else f"a restart serves version {good.version}"
    return f"it serves now and goes on until the next swap, so move the alias to another version; till then {restart}"
