"""An MLflow tracking server on this machine: SQLite, artifacts served by the server itself."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from streaming.local.processes import LOOPBACK, ManagedProcess, Service

READY_SECONDS = 120.0


def start_tracking_server(data_dir: Path, port: int, environment: Mapping[str, str]) -> Service:
    """Start a tracking server; it is ready some six seconds later (``wait_ready``).

    Args:
        data_dir: Its database, artifacts, log and webhook key; kept from one start to the next.
        port: Where clients connect.
        environment: The environment variables the server inherits.
    """
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{data_dir}/mlflow.db",
        "--serve-artifacts", "--artifacts-destination", str(data_dir / "artifacts"),
        "--uvicorn-opts", "--log-level warning",
    ]  # fmt: skip
    process = ManagedProcess(
        "tracking server", command, log=data_dir / "mlflow.log", environment={**environment, **_settings(data_dir)}
    )
    uri = f"http://{LOOPBACK}:{port}"
    return Service(process, uri, lambda: answers(uri), READY_SECONDS)


def answers(uri: str) -> bool:
    """Return whether the tracking server at ``uri`` says that it is well."""
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2.0) as reply:  # noqa: S310 - always http, see above
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _settings(data_dir: Path) -> dict[str, str]:
    return {
        # Webhooks go to the scoring job on the loopback address; by default MLflow takes only public https.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": _persistent_key(data_dir / "webhook.key"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its workers are for evaluating language models
    }


def _persistent_key(path: Path) -> str:
    """Return the Fernet key in ``path``, made on first use: a new key could not read the secrets stored before."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(urlsafe_b64encode(os.urandom(32)).decode())
    return path.read_text()
