"""Moving what a selector goes by in MLflow: an alias, a stage or a tag."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from streaming.adapters.mlflow.errors import mistake, open_client
from streaming.errors import ModelNotFoundError, RegistryUnavailableError
from streaming.models.ref import ModelKey, ModelSelector

_NO_STAGE = "None"


class MlflowPointer:
    """Implements :class:`streaming.models.rollout_versions.SelectorPointer`."""

    def __init__(self, registry_uri: str, tracking_uri: str | None = None) -> None:
        """Connect to nothing yet."""
        self._registry_uri = registry_uri
        self._tracking_uri = tracking_uri or registry_uri

    def point(self, selector: ModelSelector, key: ModelKey, in_place_of: ModelKey | None) -> None:
        """See :meth:`streaming.models.rollout_versions.SelectorPointer.point`; a pinned version stays as it is."""
        client = open_client(self._tracking_uri, self._registry_uri)
        try:
            _POINTERS[selector.kind](client, selector, key, in_place_of)
        except (MlflowException, OSError, ValueError) as problem:
            right = f"WRITE on the registered model {key.name}"
            if wrong := mistake(problem, self._registry_uri, right):
                raise wrong from problem
            if isinstance(problem, MlflowException) and problem.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise ModelNotFoundError(f"{key} is not in the registry {self._registry_uri}: {problem}") from problem
            raise RegistryUnavailableError(f"{selector} could not be pointed at {key}: {problem}") from problem


def _alias(client: MlflowClient, selector: ModelSelector, key: ModelKey, _before: ModelKey | None) -> None:
    client.set_registered_model_alias(key.name, selector.value, str(key.version))


def _stage(client: MlflowClient, selector: ModelSelector, key: ModelKey, before: ModelKey | None) -> None:
    with warnings.catch_warnings():
        # MLflow calls stages deprecated at each use; whoever follows one has decided already.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(key.name, str(key.version), selector.value)
        if before is not None:
            client.transition_model_version_stage(before.name, str(before.version), _NO_STAGE)


def _tag(client: MlflowClient, selector: ModelSelector, key: ModelKey, before: ModelKey | None) -> None:
    name, _, value = selector.value.partition("=")
    client.set_model_version_tag(key.name, str(key.version), name, value)
    if before is not None:
        client.delete_model_version_tag(before.name, str(before.version), name)


def _pinned(_client: MlflowClient, _selector: ModelSelector, _key: ModelKey, _before: ModelKey | None) -> None:
    """Leave a pinned version to whoever wrote the settings."""


_POINTERS: Mapping[str, Callable[[MlflowClient, ModelSelector, ModelKey, ModelKey | None], None]] = {
    "alias": _alias,
    "stage": _stage,
    "tag": _tag,
    "version": _pinned,
}
