"""What the rest of Penstock needs of a model registry; ``adapters/mlflow/registry.py`` implements it over MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from streaming.models.ref import ModelSelector, ModelVersion


class ModelRegistry(Protocol):
    """A registry that resolves selectors and hands out a version's files."""

    def resolve(self, selector: ModelSelector) -> ModelVersion:
        """Return the version the selector names now.

        Raises:
            ModelNotFoundError: no such model, alias, stage, tag or version.
            RegistryUnavailableError: no answer in time.
            ConfigurationError: it refuses this client, or its address cannot be used.
        """
        ...

    def get(self, name: str, version: int) -> ModelVersion:
        """Return one version by number; raises as :meth:`resolve`."""
        ...

    def download(self, version: ModelVersion, target: Path) -> None:
        """Write the version's artifact tree (with its ``MLmodel``) into the empty directory ``target``.

        Raises:
            RegistryUnavailableError: the files did not arrive.
        """
        ...
