"""The digest of a version's training data, wherever its trainer has left it in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, RunTag

from streaming.adapters.mlflow.provenance import MlflowProvenance
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.errors import ModelNotFoundError, RegistryUnavailableError
from streaming.models.digest import DATA_DIGEST_TAG


@pytest.fixture
def client(tracking_server: str) -> MlflowClient:
    return MlflowClient(tracking_server)


def provenance(server: str) -> MlflowProvenance:
    return MlflowProvenance(MlflowRegistry(server, timeout_seconds=5.0), server)


def by_version_tag(client: MlflowClient, name: str, run_id: str) -> None:
    client.set_model_version_tag(name, "1", DATA_DIGEST_TAG, "sha256:1")


def by_run_tag(client: MlflowClient, name: str, run_id: str) -> None:
    client.log_batch(run_id, tags=[RunTag(DATA_DIGEST_TAG, "sha256:2")])


def by_datasets(client: MlflowClient, name: str, run_id: str) -> None:
    data = [Dataset(part, digest, "local", "{}") for part, digest in (("train", "abc"), ("test", "def"))]
    client.log_inputs(run_id, [DatasetInput(one) for one in data])


def nowhere(client: MlflowClient, name: str, run_id: str) -> None:
    """Nobody recorded it."""


def versioned(client: MlflowClient) -> tuple[str, str]:
    name = f"model-{uuid4().hex[:8]}"
    run_id = client.create_run("0").info.run_id
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run_id}/model", run_id)
    return name, run_id


@pytest.mark.parametrize(
    ("record", "digests"),
    [(by_version_tag, {"sha256:1"}), (by_run_tag, {"sha256:2"}), (by_datasets, {"abc", "def"}), (nowhere, set())],
    ids=["on the version", "on its run", "datasets of the run", "nowhere"],
)
def test_the_digest_is_found_where_it_was_recorded(
    tracking_server: str,
    client: MlflowClient,
    record: Callable[[MlflowClient, str, str], None],
    digests: set[str],
) -> None:
    name, run_id = versioned(client)
    record(client, name, run_id)
    result = provenance(tracking_server).data_digest(name, 1)
    assert set(result.split(", ") if result else []) == digests


def test_what_is_gone_and_who_does_not_answer_are_told_apart(tracking_server: str, client: MlflowClient) -> None:
    name, _ = versioned(client)
    with pytest.raises(ModelNotFoundError):
        provenance(tracking_server).data_digest(name, 2)
    with pytest.raises(RegistryUnavailableError):
        provenance("http://127.0.0.1:1").data_digest(name, 1)
