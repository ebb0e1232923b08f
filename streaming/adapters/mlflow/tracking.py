"""Recording a training run in MLflow and registering its model.

The model is saved to a local folder first and uploaded as a whole: ``mlflow.spark.log_model`` writes in one of three
ways depending on the artifact store, and none of them lets golden rows and profile travel inside the model's folder.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow.spark
import pyspark
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types import ColSpec, DataType, Schema
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from streaming.adapters.mlflow.errors import mistake, open_client
from streaming.errors import RegistryUnavailableError
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.redaction import redact
from streaming.spark.hadoop_files import default_file_system
from streaming.training.record import Promotion

ARTIFACT_PATH = "model"
READY_SECONDS = 60


class MlflowTracker:
    """``training.record.Tracker`` over an MLflow server."""

    def __init__(self, tracking_uri: str | None, registry_uri: str | None = None) -> None:
        """Connect to nothing yet; ``None`` takes what MLflow's own environment variables say.

        Raises:
            ConfigurationError: MLflow does not take such a URI.
        """
        self._client = open_client(tracking_uri, registry_uri)

    def require_answer(self, experiment: str) -> None:
        """Ask for ``experiment``, which need not exist.

        Raises:
            RegistryUnavailableError: the server does not answer.
        """
        with _answered(self._client):
            self._client.get_experiment_by_name(experiment)

    @contextmanager
    def run(self, experiment: str, name: str) -> Iterator[MlflowRun]:
        """Open a run of ``experiment``, which is created if need be; an exception inside marks it as failed."""
        with _answered(self._client):
            existing = self._client.get_experiment_by_name(experiment)
            experiment_id = existing.experiment_id if existing else self._client.create_experiment(experiment)
            info = self._client.create_run(experiment_id, run_name=name).info
        status = "FAILED"
        try:
            yield MlflowRun(self._client, info.run_id, f"{info.artifact_uri}/{ARTIFACT_PATH}")
            status = "FINISHED"
        finally:
            with _answered(self._client):
                self._client.set_terminated(info.run_id, status)

    def download(self, version: ModelVersion, target: Path) -> Path:
        """Write the version's files into ``target`` and return the folder that holds its ``MLmodel``."""
        with _answered(self._client):
            return Path(self._client.download_artifacts(version.run_id, ARTIFACT_PATH, str(target)))

    def promote(self, version: ModelVersion, promotion: Promotion) -> None:
        """Point the alias at the version and move it to the stage, from which older versions are archived."""
        number = str(version.version)
        with _answered(self._client), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated, and still what many teams use
            if promotion.alias is not None:
                self._client.set_registered_model_alias(version.name, promotion.alias, number)
            if promotion.stage is not None:
                # MLflow serves the highest version of a stage, so an older one left there could win.
                self._client.transition_model_version_stage(
                    version.name, number, promotion.stage, archive_existing_versions=True
                )


class MlflowRun:
    """``training.record.TrainingRun`` over one MLflow run."""

    def __init__(self, client: MlflowClient, run_id: str, source: str) -> None:
        """``source`` is the artifact URI the model is uploaded to."""
        self._client = client
        self.run_id = run_id
        self._source = source

    def log(self, params: Mapping[str, object], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Record parameters, without secrets, metrics and tags."""
        now = int(time.time() * 1000)
        with _answered(self._client):
            self._client.log_batch(
                self.run_id,
                metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
                params=[Param(name, redact(str(value))) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )

    def save(self, model: PipelineModel, signature: Signature, target: Path) -> Path:
        """Write the model with its ``MLmodel`` file into the new directory ``target``; return the pipeline's folder."""
        mlflow.spark.save_model(
            model,
            str(target),
            mlflow_model=Model(artifact_path=ARTIFACT_PATH, run_id=self.run_id),
            signature=ModelSignature(inputs=_schema(signature)),
            pip_requirements=[f"pyspark=={pyspark.__version__}"],
            dfs_tmpdir=_dfs_tmpdir(target),
        )
        return target / "sparkml"

    def register(self, tree: Path, name: str, tags: Mapping[str, str]) -> ModelVersion:
        """Upload ``tree``, make it the next version of ``name`` with ``tags`` and wait until it is ready."""
        with _answered(self._client):
            self._client.log_artifacts(self.run_id, str(tree), ARTIFACT_PATH)
            self._ensure_model(name)
            made = self._client.create_model_version(
                name, self._source, self.run_id, dict(tags), await_creation_for=READY_SECONDS
            )
        return ModelVersion(name, int(made.version), self.run_id, self._source, tags=dict(tags))

    def _ensure_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise


def _schema(signature: Signature) -> Schema:
    return Schema([ColSpec(DataType[c.type], c.name, required=c.required) for c in signature.columns])


def _dfs_tmpdir(target: Path) -> str | None:
    """Return where Spark may write first: beside ``target``, unless the cluster's default file system is remote.

    There MLflow's own ``MLFLOW_DFS_TMP`` applies. MLflow's default on a local disk, ``/tmp/mlflow``, would belong to
    whoever trained first on the machine.
    """
    session = SparkSession.getActiveSession()
    default = default_file_system(session) if session else "file:"
    return str(target.parent / "spark-tmp") if default.startswith("file:") else None


@contextmanager
def _answered(client: MlflowClient) -> Iterator[None]:
    try:
        yield
    except (MlflowException, ImportError) as error:
        right = "EDIT on the experiment and on the registered model, and the right to make them,"
        if wrong := mistake(error, client.tracking_uri, right):
            raise wrong from error
        raise RegistryUnavailableError(
            f"the MLflow server refused or did not answer: {error}. Check model.tracking_uri (or MLFLOW_TRACKING_URI)"
            " and that the server is up (`penstock up` starts one)."
        ) from error
