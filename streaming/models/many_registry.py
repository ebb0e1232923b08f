"""What a job with many models asks of a registry; ``adapters/mlflow/many.py`` implements it over MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from streaming.models.ref import ModelVersion


class ManyModels(Protocol):
    """A registry that names the versions of many models at once."""

    def aliased(self, prefix: str, alias: str) -> Mapping[str, int]:
        """Return the version that an alias names of each model whose name begins with ``prefix`` and that has it.

        Raises:
            RegistryUnavailableError: no answer in time.
            ConfigurationError: it refuses this client, or its address cannot be used.
        """
        ...

    def get(self, name: str, version: int) -> ModelVersion:
        """Return one version by number.

        Raises:
            ModelNotFoundError: no such model or version.
            RegistryUnavailableError: no answer in time.
        """
        ...

    def download(self, version: ModelVersion, target: Path) -> None:
        """Write the version's files into the empty directory ``target``.

        Raises:
            RegistryUnavailableError: the files did not arrive.
        """
        ...
