"""The checks of versions in a process without Spark: a server's, and a shadow's."""

from __future__ import annotations

from importlib.metadata import version as installed

from pyspark.sql import SparkSession

from jobs.wiring.flavors import code_seconds, served_flavors
from jobs.wiring.lookups import looking_up
from streaming.errors import ConfigurationError
from streaming.lookup.join import TableLookup
from streaming.models.cache import ModelCache
from streaming.models.candidate import Preparation
from streaming.models.package import SPARK_FLAVOR
from streaming.models.reader import PackageReader
from streaming.models.stager import LocalFileStore, Stager
from streaming.models.topic_schema import NoEvents, TopicCheck
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.in_session import SessionLoader
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import ModelSettings, Settings


def in_process_preparation(
    settings: Settings,
    *,
    singly: bool = False,
    spark: SparkSession | None = None,
    lookup: TableLookup | None = None,
) -> Preparation:
    """Return the checks that every candidate goes through, none of which needs a broker.

    Args:
        settings: all of them.
        singly: for who scores single events.
        spark: scores pipelines that have no compiled form; without it they are refused.
        lookup: gives events columns that they do not have.
    """
    model = settings.model
    loader = InProcessLoader(
        envelope=settings.event,
        max_value_bytes=settings.input.max_value_bytes,
        extra_stages=model.extra_stages,
        code_seconds=code_seconds(model),
        singly=singly,
    )
    return Preparation(
        cache=ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes),
        reader=PackageReader(model, installed("pyspark")),
        topic=TopicCheck(NoEvents(), settings.event),
        stager=Stager(LocalFileStore(), None),
        loaders=looking_up(
            {
                flavor: _by_session(loader, model, spark) if flavor == SPARK_FLAVOR and spark else loader
                for flavor in served_flavors(model)
            },
            lookup,
        ),
    )


def _by_session(compiled: InProcessLoader, model: ModelSettings, spark: SparkSession) -> SessionLoader:
    pipelines = SparkPipelineLoader(spark, compiled.envelope, compiled.max_value_bytes, compiled.extra_stages)
    return SessionLoader(compiled, pipelines, model.scorer)


def require_no_spark(settings: Settings, verb: str) -> None:
    """Raise ``ConfigurationError`` if Spark is to score, which the ``verb``'s process does not have."""
    if settings.model.scorer == "spark":
        raise ConfigurationError(
            f"model.scorer is spark, and penstock {verb} scores without Spark; set it to auto or compiled, or score by"
            " penstock score or batch"
        )
