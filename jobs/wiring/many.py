"""Many models put together: where their files are, the follower of all, and who hears of them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from jobs.wiring.following import registry
from jobs.wiring.in_process import in_process_preparation
from jobs.wiring.starting import Footing
from schemas.dead_letter import Reason
from streaming.adapters.session import is_local
from streaming.clock import system_clock
from streaming.engines.table_arms import TableArms, TableSource
from streaming.errors import ConfigurationError
from streaming.models.announcer import Announcer, ModelEventSink
from streaming.models.many_follower import ManyFollower
from streaming.models.many_ports import ManyFollowing, ManyPorts
from streaming.models.ref import DEFAULT_ALIAS, ModelSelector
from streaming.models.routing import RoutingRule
from streaming.models.slot import Slot
from streaming.models.table import ProgramLimits
from streaming.models.table_memory import TableMemoryFile
from streaming.operations.many_metrics import ManyMetrics
from streaming.operations.metrics import FinishedBatch
from streaming.operations.observer import JobObserver
from streaming.scoring.table_files import TableFiles
from streaming.settings import Settings

_KEEP_ALL = 1_000_000
"""The cache of versions is bounded by ``model.cache_max_bytes`` alone: how many models there are is not known."""


def has_many(settings: Settings) -> bool:
    """Return whether the job has many models."""
    return settings.models.route is not None


def model_selector(settings: Settings, name: str) -> ModelSelector:
    """Return the selector of one of the models, or that of all by the rule's text."""
    return ModelSelector(name, "alias", settings.model.alias or DEFAULT_ALIAS)


@dataclass(frozen=True)
class ManyOutlets:
    """The listeners of a job with many models: its observer, and the sinks of model events."""

    observer: JobObserver
    sink: ModelEventSink


def follow_many(
    settings: Settings, slot: Slot, spark: SparkSession, outlets: ManyOutlets, stack: ExitStack
) -> ManyFollower:
    """Return the follower, not yet started; its files are removed when ``stack`` ends.

    Raises:
        ConfigurationError: workers cannot read what this machine writes, or no registry is named.
    """
    rule, model = RoutingRule.from_settings(settings.models), settings.model
    metrics = ManyMetrics(outlets.observer.metrics)
    files = _table_files(settings, program_home(settings, is_local(spark)))
    stack.callback(files.close)

    def announcer(name: str) -> Announcer:
        selector = model_selector(settings, name)
        return Announcer(settings.application, selector, system_clock, metrics, [outlets.sink])

    alias = model.alias or DEFAULT_ALIAS
    ports = ManyPorts(
        registry=registry(model),
        maker=files,
        slot=slot,
        announcer=announcer,
        seen=metrics.table_served,
        memory=TableMemoryFile(model.cache_dir, settings.application, f"{rule}@{alias}"),
        clock=system_clock,
    )
    following = ManyFollowing(
        rule=rule,
        alias=alias,
        poll_seconds=model.poll_seconds,
        first_seconds=settings.models.first_seconds,
        threads=settings.models.load_threads,
        limits=ProgramLimits(settings.models.resident_bytes, settings.models.model_seconds),
    )
    follower = ManyFollower(ports, following)
    outlets.observer.also.extend((metrics.batch_finished, lambda batch: follower.answered(_answered(batch))))
    return follower


def _table_files(settings: Settings, home: Path) -> TableFiles:
    unbounded = settings.model.model_copy(update={"cache_keep": _KEEP_ALL})
    preparation = in_process_preparation(settings.model_copy(update={"model": unbounded}))
    return TableFiles(home, preparation, settings.event, settings.input.max_value_bytes)


def program_home(settings: Settings, local: bool) -> Path:
    """Return where programs and tables are written; the caller knows whether workers run on this machine alone.

    Raises:
        ConfigurationError: they do not, and no folder that all machines share is named.
    """
    parts = urlsplit(settings.model.staging_uri or "")
    if settings.model.staging_uri is not None and parts.scheme in ("", "file"):
        return Path(parts.path)
    if not local:
        raise ConfigurationError(
            "with models.route, executors read compiled models from a folder; set model.staging_uri to one that driver"
            " and executors share, such as file:///mnt/models"
        )
    return settings.model.cache_dir.resolve()


def table_arms(on: Footing, tables: TableSource, stack: ExitStack) -> TableArms:
    """Return what plans a job's table of models; a table that was recalled is released when ``stack`` ends."""
    arms = TableArms(on.ledger, tables, system_clock)
    stack.callback(arms.close)
    return arms


def _answered(batch: FinishedBatch) -> dict[str, tuple[int, int]]:
    failed = Reason.SCORING_FAILED.value
    return {
        key: (counts.predictions + sum(counts.dead_letters.values()), counts.dead_letters.get(failed, 0))
        for key, counts in batch.outcome.arms.items()
    }
