"""What the rest of Penstock needs of a model registry; ``adapters/mlflow/registry.py`` implements it over MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from streaming.models.ref import ModelSelector, ModelVersion


class VersionSource(Protocol):
    """A registry as far as it describes versions, and hands out their files."""

    def get(self, name: str, version: int) -> ModelVersion:
        """Return one version by number.

        Raises:
            ModelNotFoundError: no such model or version.
            RegistryUnavailableError: no answer in time.
            ConfigurationError: it refuses this client, or its address cannot be used.
        """
        ...

    def download(self, version: ModelVersion, target: Path) -> None:
        """Write the version's artifact tree (with its ``MLmodel``) into the empty directory ``target``.

        Raises:
            RegistryUnavailableError: the files did not arrive.
        """
        ...


class ModelRegistry(VersionSource, Protocol):
    """A registry that resolves selectors."""

    def resolve(self, selector: ModelSelector) -> ModelVersion:
        """Return the version the selector names now; raises as :meth:`get`, also for no such alias, stage or tag."""
        ...


class ManyModels(VersionSource, Protocol):
    """A registry that names the versions of many models at once."""

    def aliased(self, prefix: str, alias: str) -> Mapping[str, int]:
        """Return the version that an alias names of each model whose name begins with ``prefix`` and that has it.

        Raises:
            RegistryUnavailableError: no answer in time.
            ConfigurationError: it refuses this client, or its address cannot be used.
        """
        ...
