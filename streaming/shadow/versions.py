"""The versions that a shadow scores by: loaded when an event asks for one, and refused once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from streaming.errors import CandidateRefusedError, ModelNotFoundError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.shadow.scoring import ShadowScorer

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_MOST_LOADED = 2
"""A rollout has two versions. A backlog may hold several rollouts, one after the other."""


@dataclass
class ShadowVersions:
    """Loaded versions and refused ones.

    Attributes:
        load: returns a version that has passed every check.
        release: gives it back.
        refused: why versions cannot be scored by in this process.
    """

    load: Callable[[ModelKey], ServedModel]
    release: Callable[[ServedModel], None]
    refused: dict[ModelKey, str] = field(default_factory=dict)
    _loaded: dict[ModelKey, tuple[ServedModel, ShadowScorer]] = field(default_factory=dict)

    def scorer(self, key: ModelKey) -> ShadowScorer | None:
        """Return what scores by a version; ``None`` if it was refused, which is in the log once.

        Raises:
            UpstreamError: the registry does not answer, and the version is not in the cache.
        """
        if key in self.refused:
            return None
        if key not in self._loaded:
            try:
                model = self.load(key)
            except (CandidateRefusedError, ModelNotFoundError) as problem:
                self.refused[key] = str(problem)
                _log.error("shadow_version_refused", model=key.name, version=key.version, why=str(problem))
                return None
            _log.info("shadow_version_loaded", model=key.name, version=key.version)
            self._loaded[key] = model, ShadowScorer(model)
        # The one that was used last goes to the end; what is released is the one that was not used for longest.
        self._loaded[key] = self._loaded.pop(key)
        self._shrink(_MOST_LOADED)
        return self._loaded[key][1]

    def close(self) -> None:
        """Give back every version."""
        self._shrink(0)

    def _shrink(self, most: int) -> None:
        while len(self._loaded) > most:
            model, _ = self._loaded.pop(next(iter(self._loaded)))
            self.release(model)
