"""What MLflow knows of the data a model version was trained on."""

from __future__ import annotations

from mlflow.exceptions import MlflowException

from streaming.adapters.mlflow.errors import mistake, open_client
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.errors import ModelNotFoundError, RegistryUnavailableError
from streaming.models.digest import DATA_DIGEST_TAG


class MlflowProvenance:
    """Looks a version's data up: Penstock's own tag on the version or its run, else the datasets its run has logged."""

    def __init__(self, registry: MlflowRegistry, tracking_uri: str | None) -> None:
        self._registry = registry
        self._tracking_uri = tracking_uri

    def data_digest(self, name: str, version: int) -> str | None:
        """Return the digest of the training data; ``None`` if none was recorded.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
            ModelNotFoundError: the version or its run was deleted.
            ConfigurationError: MLflow refuses to tell, or cannot be asked.
        """
        registered = self._registry.get(name, version)  # answers in bounded time, so what follows has a server to ask
        return registered.tags.get(DATA_DIGEST_TAG) or (self._of_run(registered.run_id) if registered.run_id else None)

    def _of_run(self, run_id: str) -> str | None:
        try:
            run = open_client(self._tracking_uri, None).get_run(run_id)
        except MlflowException as problem:
            if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise ModelNotFoundError(f"run {run_id} is not in MLflow any more") from problem
            if wrong := mistake(problem, self._tracking_uri, f"READ on the experiment of run {run_id}"):
                raise wrong from problem
            raise RegistryUnavailableError(f"MLflow gave no answer about run {run_id}: {problem}") from problem
        logged = [data.dataset.digest for data in run.inputs.dataset_inputs] if run.inputs else []
        return run.data.tags.get(DATA_DIGEST_TAG) or ", ".join(logged) or None
