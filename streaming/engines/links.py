"""What follows the champion in the fallback chain: a version that is loaded when it is first needed, and a constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from streaming.engines.exact_ports import Fallback
from streaming.engines.tries import Tries
from streaming.models.ref import DEFAULT_VERSION, ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.slot import Slot

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class LoadedLinks:
    """The :class:`streaming.engines.chain.ChainLinks` of one job; only the batch thread uses it."""

    def __init__(
        self, slot: Slot, versions: Fallback, pinned: ModelKey | None, model: str, score: Mapping[str, Any] | None
    ) -> None:
        """Load nothing yet.

        Args:
            slot: has the champion, and often the version that served before it.
            versions: loads others.
            pinned: the fallback version; ``None`` for the version that served before the champion.
            model: the name of the job's model.
            score: the default score; ``None`` where there is none.
        """
        self._slot = slot
        self._versions = versions
        self._pinned = pinned
        self._default = None if score is None else ModelVersion(model, DEFAULT_VERSION)
        self._score = score
        self._tries = Tries()
        self._problem = ""
        self._held: ServedModel | None = None

    @property
    def default(self) -> ModelVersion | None:
        """See :class:`streaming.engines.chain.ChainLinks`."""
        return self._default

    @property
    def score(self) -> Mapping[str, Any] | None:
        """See :class:`streaming.engines.chain.ChainLinks`."""
        return self._score

    def fallback_version(self, champion: ModelKey, /) -> ModelVersion | None:
        """See :class:`streaming.engines.chain.ChainLinks`."""
        good = self._slot.last_good()
        if self._pinned is None and good is not None:
            return good.version
        if self._held is None:
            problem = self._tries((f"after {champion}", 0), self._load)
            if problem != self._problem:
                _log.warning("fallback version cannot be loaded", champion=str(champion), problem=problem)
            self._problem = problem
        return None if self._held is None else self._held.version

    def loaded(self, key: ModelKey, /) -> ServedModel | None:
        """See :class:`streaming.engines.chain.ChainLinks`."""
        return self._held if self._held is not None and self._held.key == key else None

    def close(self) -> None:
        """Release what was loaded."""
        held, self._held = self._held, None
        if held is not None:
            self._versions.release(held)

    def _load(self) -> str:
        self._held = self._versions.earlier() if self._pinned is None else self._versions.recall(self._pinned)
        return ""
