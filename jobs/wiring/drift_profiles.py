"""The reference profiles of models' versions, read from the registry and kept beside the other files of models."""

from __future__ import annotations

import structlog

from jobs.wiring.following import registry
from streaming.errors import CandidateRefusedError, FilesMissingError, ModelNotFoundError
from streaming.models import profile
from streaming.models.cache import ModelCache
from streaming.models.profile import ReferenceProfile
from streaming.models.ref import DEFAULT_VERSION, ModelKey
from streaming.settings import ModelSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class RegisteredProfiles:
    """Gives a version's profile; each version's files are fetched once."""

    def __init__(self, model: ModelSettings) -> None:
        """Connect; raises ``ConfigurationError`` where no registry is named."""
        self._registry = registry(model)
        self._cache = ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes)
        self._known: dict[ModelKey, ReferenceProfile | None] = {}

    def __call__(self, key: ModelKey) -> ReferenceProfile | None:
        """Return the profile, None where the version has none that can be read, and for the default score.

        Raises:
            RegistryUnavailableError: the registry does not answer.
        """
        if key.version == DEFAULT_VERSION:
            return None
        if key not in self._known:
            self._known[key] = self._fetch(key)
        return self._known[key]

    def _fetch(self, key: ModelKey) -> ReferenceProfile | None:
        name, version = key.name, key.version
        try:
            cached = self._cache.fetch(self._registry.get(name, version), self._registry.download)
        except (ModelNotFoundError, CandidateRefusedError, FilesMissingError) as problem:
            _log.warning("no reference profile", model=name, version=version, problem=str(problem))
            return None
        try:
            path = cached.root / profile.PATH
            if not path.exists():
                _log.warning("no reference profile", model=name, version=version, remedy="penstock drift baseline")
                return None
            return ReferenceProfile.from_json(path.read_text("utf-8"))
        except (ValueError, KeyError, TypeError) as problem:
            _log.warning("no reference profile", model=name, version=version, problem=f"{profile.PATH}: {problem}")
            return None
        finally:
            self._cache.release(cached.root)
