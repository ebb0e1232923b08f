"""MLflow's own scoring code over a saved model, in this process: what `mlflow models serve` runs behind its socket."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
from mlflow.pyfunc import scoring_server


class MlflowServing:
    """Answers as MLflow does."""

    def __init__(self, root: Path) -> None:
        """Load the model, by MLflow's own loader: it is one of ours."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's, of itself
            self._app: Any = scoring_server.init(mlflow.pyfunc.load_model(str(root)))

    def invoke(self, content: bytes, content_type: str) -> httpx.Response:
        """Return the answer to one request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
                return await client.post("/invocations", content=content, headers={"content-type": content_type})

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return asyncio.run(ask())
