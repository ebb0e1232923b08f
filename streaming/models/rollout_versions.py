"""What a rollout does with versions of the registry: load the candidate, name a champion, go back to the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import CandidateRefusedError, RegistryUnavailableError
from streaming.models.candidate import Preparation
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.registry import ModelRegistry
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode

RESUME_TAG = "penstock.resume"
"""The tag of a version that passes a gate of its rollout, whose name is the tag's value."""


class SelectorPointer(Protocol):
    """Changes which version a selector names; ``adapters/mlflow/pointing.py`` implements it over MLflow."""

    def point(self, selector: ModelSelector, key: ModelKey, in_place_of: ModelKey | None) -> None:
        """Give a version the selector's alias, stage or tag, and take stage or tag from ``in_place_of``.

        Raises:
            ModelNotFoundError: there is no such version.
            RegistryUnavailableError: the registry does not answer.
            ConfigurationError: it refuses this client.
        """
        ...


@dataclass(frozen=True)
class CheckedVersions:
    """Versions by number, for a process that scores by others than the champion, too."""

    registry: ModelRegistry
    preparation: Preparation

    def load(self, key: ModelKey) -> ServedModel:
        """Return a version that has passed every check; see :func:`checked_version`."""
        return checked_version(self.registry, self.preparation, key)

    def release(self, model: ServedModel) -> None:
        """Give back what the version holds."""
        self.preparation.release(model)


@dataclass(frozen=True)
class RegistryVersions:
    """Implements :class:`streaming.engines.rollout_ports.RolloutVersions`.

    ``wake`` has the follower look at the registry, and ``roll_back`` is the follower's.
    """

    registry: ModelRegistry
    pointer: SelectorPointer
    selector: ModelSelector
    preparation: Preparation
    wake: Callable[[], object]
    roll_back: Callable[[ModelKey, str], ServedModel | None]

    def candidate(self, key: ModelKey) -> ServedModel:
        """Return a version that has passed every check, or, while the registry is silent, the cached one.

        Raises:
            ModelNotFoundError: the registry has no such version.
            CandidateRefusedError: it failed a check.
            UpstreamError: the registry or the broker does not answer.
        """
        return checked_version(self.registry, self.preparation, key)

    def name_champion(self, key: ModelKey, in_place_of: ModelKey | None = None) -> str:
        """Point the selector at a version; return why that cannot be, empty if the registry names it now."""
        selector = self.selector
        if selector.kind == "version":
            if selector.value == str(key.version):
                return ""
            return f"model.version pins v{selector.value}; set it to {key.version}, or follow an alias"
        self.pointer.point(selector, key, in_place_of)
        named = self.registry.resolve(selector)
        if named.key != key:
            return (
                f"{selector} names v{named.version}, as the highest; take its {selector.kind} away for v{key.version}"
            )
        self.wake()
        return ""

    def resume_tag(self, key: ModelKey) -> str:
        """Return what a version's tag :data:`RESUME_TAG` says now, empty without one.

        Raises:
            ModelNotFoundError: the registry has no such version.
            RegistryUnavailableError: it does not answer.
        """
        return self.registry.get(key.name, key.version).tags.get(RESUME_TAG, "")

    def take_back(self, key: ModelKey, reason: str) -> None:
        """Serve the version before ``key`` from the next batch on, if one is loaded, and put ``key`` on hold."""
        self.roll_back(key, reason)


def checked_version(registry: ModelRegistry, preparation: Preparation, key: ModelKey) -> ServedModel:
    """Return a version that has passed every check, or, while the registry is silent, the cached one.

    Raises:
        ModelNotFoundError: the registry has no such version.
        CandidateRefusedError: it failed a check.
        UpstreamError: the registry or the broker does not answer.
    """
    try:
        version = registry.get(key.name, key.version)
        if version.status != "READY":
            raise CandidateRefusedError(RefusalCode.DOWNLOAD_FAILED, f"{version} is not registered completely")
        return preparation.prepare(version, registry.download)
    except RegistryUnavailableError:
        # It was in the cache only if it was checked before, so a restart goes on without the registry.
        model = preparation.recall(key)
        if model is None:
            raise
        return model
