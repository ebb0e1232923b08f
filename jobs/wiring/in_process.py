"""The checks of versions in a process without Spark: a server's, and a shadow's."""

from __future__ import annotations

from importlib.metadata import version as installed

from streaming.errors import ConfigurationError
from streaming.models.cache import ModelCache
from streaming.models.candidate import Preparation
from streaming.models.package import CODE_FLAVOR, SPARK_FLAVOR
from streaming.models.reader import PackageReader
from streaming.models.stager import LocalFileStore, Stager
from streaming.models.topic_schema import NoEvents, TopicCheck
from streaming.scoring.flavours.table import FLAVOURS
from streaming.scoring.in_process import InProcessLoader
from streaming.settings import Settings


def in_process_preparation(settings: Settings) -> Preparation:
    """Return the checks that every candidate goes through, none of which needs Spark or a broker."""
    model = settings.model
    code_seconds = model.code_seconds if model.allow_code else None
    loader = InProcessLoader(settings.event, settings.input.max_value_bytes, model.extra_stages, code_seconds)
    flavors = (SPARK_FLAVOR, *FLAVOURS, *([CODE_FLAVOR] if model.allow_code else []))
    return Preparation(
        cache=ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes),
        reader=PackageReader(model, installed("pyspark")),
        topic=TopicCheck(NoEvents(), settings.event),
        stager=Stager(LocalFileStore(), None),
        loaders=dict.fromkeys([CODE_FLAVOR] if model.scorer == "pyfunc" else flavors, loader),
    )


def require_no_spark(settings: Settings, verb: str) -> None:
    """Raise ``ConfigurationError`` if versions shall be scored by Spark, which the ``verb``'s process has not."""
    if settings.model.scorer == "spark":
        raise ConfigurationError(
            f"model.scorer is spark, and penstock {verb} scores without Spark; set it to auto or compiled, or score by"
            " penstock score or batch"
        )
