"""Following the registry put together: cache, checks, loader, slot, announcements, and the follower on top."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

from pyspark.sql import SparkSession

from jobs.wiring.flavors import code_seconds, served_flavors
from jobs.wiring.lookups import looking_up
from streaming.adapters.mlflow.files import FetchingProcess, fetch_apart
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.adapters.session import is_local
from streaming.clock import system_clock
from streaming.engines.live_plan import check_live
from streaming.errors import ConfigurationError
from streaming.lookup.join import TableLookup
from streaming.models.announcer import Announcer, ModelEventSink, ModelMetrics
from streaming.models.cache import ModelCache
from streaming.models.candidate import Candidates, Preparation
from streaming.models.follower import Follower, Following
from streaming.models.last_good import LastGoodFile
from streaming.models.package import SPARK_FLAVOR
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelSelector
from streaming.models.registry import ModelRegistry
from streaming.models.served import PipelineLoader, ServedModel
from streaming.models.slot import Slot
from streaming.models.stager import Stager
from streaming.models.topic_schema import EventSample, TopicCheck
from streaming.scoring.flavours.loader import NativeLoader
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import ModelSettings, ScorerSetting, Settings
from streaming.spark.hadoop_files import HadoopFileStore


def registry(model: ModelSettings) -> MlflowRegistry:
    """Return the registry; raises ``ConfigurationError`` where none is named."""
    return MlflowRegistry(registry_uri(model), model.timeout_seconds, model.tracking_uri)


def server_registry(model: ModelSettings, alone: bool, stack: ExitStack) -> MlflowRegistry:
    """Return the registry of a server, whose downloads hold up no request; raises as :func:`registry`.

    Args:
        model: the settings of the model.
        alone: whether the server is one process. One of several does without a process that stays until ``stack`` ends,
            since each would take 0.2 GB.
        stack: ends the process.
    """
    fetch_files = stack.enter_context(closing(FetchingProcess())) if alone else fetch_apart
    return MlflowRegistry(registry_uri(model), model.timeout_seconds, model.tracking_uri, fetch_files)


def registry_uri(model: ModelSettings) -> str:
    """Return where the registry is; raises ``ConfigurationError`` where none is named."""
    uri = model.registry_uri or model.tracking_uri
    if uri is None:
        raise ConfigurationError(
            "no model registry: set model.tracking_uri, or the variable MLFLOW_TRACKING_URI, to the MLflow server"
        )
    return uri


def last_good_file(settings: Settings) -> LastGoodFile:
    """Return where the version that served last is remembered over a restart."""
    path = settings.model.cache_dir / f"{settings.application}.last_good.json"
    return LastGoodFile(path, ModelSelector.from_settings(settings.model))


def make_slot(settings: Settings) -> Slot:
    """Return an empty slot that knows which versions are on hold."""
    return Slot(held=frozenset(last_good_file(settings).load().held))


def scorer_setting(settings: Settings) -> ScorerSetting:
    """Return which form of a version scores the stream: ``model.scorer``, but that the live engine has Spark alone."""
    return "spark" if settings.engine.kind == "live" else settings.model.scorer


def preparation(
    settings: Settings,
    spark: SparkSession,
    sample: EventSample,
    scorer: ScorerSetting = "spark",
    lookup: TableLookup | None = None,
) -> Preparation:
    """Return the checks that every candidate goes through; ``scorer`` is what scores for whoever asks.

    With ``lookup``, versions have it give events the columns that they lack.

    Raises:
        ConfigurationError: executors run elsewhere and ``model.staging_uri`` does not say where they find the model.
    """
    model = settings.model
    if model.staging_uri is None and not is_local(spark):
        raise ConfigurationError(
            f"model.staging_uri is not set, and the executors of {spark.sparkContext.master} cannot read this machine's"
            " disk; set it to a location that driver and executors share, such as hdfs:///penstock or s3a://bucket/models"
        )
    return Preparation(
        ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes),
        PackageReader(model, spark.version),
        TopicCheck(sample, settings.event, looked_up=tuple(settings.lookup.columns)),
        Stager(HadoopFileStore(spark), model.staging_uri),
        looking_up(loaders(settings, spark, sample, scorer), lookup),
    )


def loaders(
    settings: Settings, spark: SparkSession, sample: EventSample, scorer: ScorerSetting
) -> dict[str, PipelineLoader]:
    """Return what loads a version, by its flavor of MLflow; a version in several is loaded by the first."""
    admit = partial(check_live, spark) if settings.engine.kind == "live" else _admit_any
    pipelines = SparkPipelineLoader(
        session=spark,
        envelope=settings.event,
        max_value_bytes=settings.input.max_value_bytes,
        extra_stages=settings.model.extra_stages,
        admit=admit,
        sample=sample,
        scorer=scorer,
    )
    others = NativeLoader(
        session=spark,
        envelope=settings.event,
        max_value_bytes=settings.input.max_value_bytes,
        admit=admit,
        sample=sample,
        scorer=scorer,
        code_seconds=code_seconds(settings.model),
    )
    return {name: pipelines if name == SPARK_FLAVOR else others for name in served_flavors(settings.model)}


def _admit_any(_: ServedModel) -> None:
    """Ask nothing of a version beside the checks of its loader."""


def make_announcer(settings: Settings, metrics: ModelMetrics, sinks: Sequence[ModelEventSink]) -> Announcer:
    """Return what tells of versions that come and go."""
    chosen = ModelSelector.from_settings(settings.model)
    return Announcer(settings.application, chosen, system_clock, metrics, sinks)


def follow(
    settings: Settings, slot: Slot, checks: Preparation, announcer: Announcer, registry: ModelRegistry
) -> Follower:
    """Return the follower, not yet started."""
    following = Following(ModelSelector.from_settings(settings.model), settings.model.poll_seconds)
    candidates = Candidates(checks, slot, system_clock)
    return Follower(registry, following, candidates, announcer, last_good_file(settings))
