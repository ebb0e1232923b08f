"""MLflow's own settings, as a command wants them."""

from __future__ import annotations

import os

MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own seven take minutes to say that no server is there
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def prepare_mlflow() -> None:
    """Set MLflow's variables that the user has not set: fail soon, and print nothing into our own output."""
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
