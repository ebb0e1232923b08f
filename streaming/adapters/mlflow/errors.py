"""What MLflow's errors mean to whoever runs Penstock: a wrong setting, a right that is missing, or silence."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException
from mlflow.utils.credentials import get_default_host_creds

from streaming.errors import ConfigurationError

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


def open_client(tracking_uri: str | None, registry_uri: str | None) -> MlflowClient:
    """Return a client.

    Raises:
        ConfigurationError: MLflow does not take such a URI, as that of a folder (``./mlruns``).
    """
    try:
        return MlflowClient(tracking_uri, registry_uri)
    except (MlflowException, ImportError, OSError) as problem:
        raise unusable(problem, tracking_uri or registry_uri) from problem


def mistake(problem: Exception, uri: str | None, right: str) -> ConfigurationError | None:
    """Return the error for what only another setting or another right can mend; ``None`` for anything else.

    Args:
        problem: What MLflow or its store raised.
        uri: The server's, or the database's.
        right: What the call needs, such as ``READ on the registered model flights``.
    """
    if isinstance(problem, MlflowException) and problem.error_code in _REFUSED:
        return _refusal(problem, uri or "", right)
    # A database's driver that is not installed, a path that cannot be.
    in_vain = isinstance(problem, UnsupportedModelRegistryStoreURIException | ImportError)
    if in_vain or (isinstance(problem, OSError) and problem.filename is not None):
        return unusable(problem, uri)
    return None


def unusable(problem: Exception, uri: str | None) -> ConfigurationError:
    """Return the error for a URI that MLflow does not take, with MLflow's own remedy."""
    return ConfigurationError(
        f"MLflow does not take {uri or 'its default'} as the tracking server: {str(problem).strip()}\n"
        "Correct model.tracking_uri (or MLFLOW_TRACKING_URI) and model.registry_uri."
    )


def _refusal(problem: MlflowException, uri: str, right: str) -> ConfigurationError:
    user = get_default_host_creds(uri).username if uri.startswith("http") else None
    if problem.error_code == "UNAUTHENTICATED":
        return ConfigurationError(
            f"MLflow at {uri} does not accept the credentials of {user or 'a client without a name'}; set"
            " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to valid ones"
        )
    return ConfigurationError(
        f"MLflow at {uri} refuses: grant {right} to {user or 'the user of MLFLOW_TRACKING_TOKEN'}"
    )
