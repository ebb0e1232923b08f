"""``penstock batch``: files to scored files with a version from the registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_writable
from jobs.process.logs import configure_logging
from jobs.terminal.progress import steps
from jobs.verbs.batch.display import BatchProgressBar, show_differences, show_sample, show_summary
from jobs.verbs.batch.options import BatchOptions, Paths, resolve
from jobs.verbs.batch.record import BatchRecord
from jobs.wiring.batch_rollout import batch_split
from jobs.wiring.following import preparation, registry
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import require_log, session
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.batch.arms import BatchArm, BatchSplit
from streaming.batch.arms_scorer import ArmsUnitScorer
from streaming.batch.columns import BatchColumns
from streaming.batch.files import InputFile
from streaming.batch.needs import Needs
from streaming.batch.plan import BatchPlan
from streaming.batch.publish import publish
from streaming.batch.run import ProgressReporter, ScoresUnits, score_units
from streaming.batch.scorer import BatchOutput, UnitScorer
from streaming.batch.sketch import quantiles
from streaming.batch.source import BatchSource
from streaming.batch.staging import Staging, begun_plan, folder_of
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.models.topic_schema import NoEvents
from streaming.settings import Settings

SPARK_LOG = Path(".penstock/batch-spark.log")
SAMPLE_ROWS = 1_000


def score_files(config: Path | None, overrides: Sequence[str], options: BatchOptions, *, dry_run: bool = False) -> None:
    """Score files and publish the results, or with ``dry_run`` print what would be done.

    Raises:
        ConfigurationError: the options, the settings or the input's columns do not fit; nothing was written.
        DataError: a file cannot be read, or rows were lost; nothing was published.
        ModelError: no version can score.
        UpstreamError: the registry or the tracking server does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    prepare_mlflow()
    console = Console()
    with ExitStack() as stack:
        with steps(console) as step:
            step("reading the input")
            request = look(settings, options)
            step("starting Spark")
            spark = stack.enter_context(session(settings, "penstock-batch", SPARK_LOG))
            step(f"loading {request.version}")
            work = stack.enter_context(loaded(request, spark))
        if dry_run:
            try_out(work, console)
        else:
            score(work, console)


@dataclass(frozen=True)
class Request:
    """The options of a batch with the files and the version that they mean."""

    settings: Settings
    options: BatchOptions
    paths: Paths
    files: tuple[InputFile, ...]
    versions: tuple[ModelVersion, ...]
    """One, or the champion's and the candidate's of a rollout."""
    split: BatchSplit | None = None

    @property
    def version(self) -> ModelVersion:
        """The version, or the champion's."""
        return self.versions[0]

    @property
    def arms(self) -> tuple[BatchArm | None, ...]:
        """Which rows each version scores."""
        return (None,) if self.split is None else self.split.parts


@dataclass(frozen=True)
class Work:
    """A batch that is ready to be scored: all checks have passed."""

    request: Request
    spark: SparkSession
    plan: BatchPlan
    scorers: tuple[UnitScorer, ...]

    @property
    def units(self) -> ScoresUnits:
        """What scores the units."""
        return self.scorers[0] if len(self.scorers) == 1 else ArmsUnitScorer(self.scorers)


def look(settings: Settings, options: BatchOptions) -> Request:
    """Find the files and the version; raises as :func:`score_files`."""
    if settings.model.tracking_uri is None:
        raise ConfigurationError(
            "no tracking server to record the batch in: set model.tracking_uri, or the variable MLFLOW_TRACKING_URI"
            " (`penstock up` starts one)"
        )
    require_log(SPARK_LOG)
    require_writable(settings.model.cache_dir, "model.cache_dir")
    # The disk is checked before the registry is asked, and both before Spark starts.
    paths = resolve(options, system_clock)
    models, selector = registry(settings.model), options.selector(settings)
    split = None
    if options.rollout:
        split = batch_split(settings, begun_plan(folder_of(paths.targets.scored, paths.batch)))
        versions = tuple(models.get(split.model, split.versions[arm.role]) for arm in split.parts)
    else:
        versions = (models.resolve(selector),)
    return Request(
        settings=settings,
        options=options,
        paths=paths,
        files=paths.listing.digested(),
        versions=versions,
        split=split,
    )


@contextmanager
def loaded(request: Request, spark: SparkSession) -> Iterator[Work]:
    """Load each version, compare it with the files' columns, and release it at the end; raises as above."""
    settings, version = request.settings, request.version
    checks = preparation(settings, spark, NoEvents(), settings.model.scorer)
    download = registry(settings.model).download
    with ExitStack() as stack:
        models = []
        for own in request.versions:
            model = checks.prepare(own, download)
            stack.callback(checks.release, model)
            models.append(model)
        plan = BatchPlan(
            batch=request.paths.batch,
            model=version.name,
            version=version.version,
            model_digest="+".join(served.package.digest for served in models),
            files=request.files,
            options={**request.paths.options(request.options, settings), **_split_option(request.split)},
            unit_bytes=settings.batch.unit_bytes,
        )
        pairs = zip(models, request.arms, strict=True)
        yield Work(request, spark, plan, tuple(_scorer(request, served, spark, arm) for served, arm in pairs))


def _split_option(split: BatchSplit | None) -> dict[str, Any]:
    """Return what a plan has only where there are arms, so that batches without them go on as they were begun."""
    return {} if split is None else {"rollout": split.to_dict()}


def _scorer(request: Request, served: ServedModel, spark: SparkSession, arm: BatchArm | None) -> UnitScorer:
    settings, paths, options = request.settings, request.paths, request.options
    signature = served.package.signature
    needs = Needs.of(signature, settings.event, settings.batch.keep)
    source = BatchSource.of(spark, paths.format, paths.listing, needs, paths.encoding)
    columns = BatchColumns.of(source, signature, settings.batch, settings.event, arm)
    absent = [name for name in options.partition_by if name not in columns.scored_names]
    if absent:
        raise ConfigurationError(
            f"--partition-by {absent[0]} is not among the output's columns, {', '.join(columns.scored_names)};"
            " keep it with --keep, or take another"
        )
    output = BatchOutput(paths.out_format, options.partition_by)
    return UnitScorer(
        source=source,
        model=served,
        envelope=settings.event,
        columns=columns,
        output=output,
        max_poison_rows=settings.engine.max_poison_rows,
        arm=arm,
    )


def score(work: Work, console: Console) -> None:
    """Score the units that are not finished, record the batch and publish it."""
    plan, request = work.plan, work.request
    targets, settings = request.paths.targets, request.settings
    # Opening takes the lock, so two runs of one batch cannot write to the same units.
    staging = Staging.open(targets.scored, plan.batch)
    try:
        begun = staging.plan()
        if begun is None:
            staging.begin(plan)
        else:
            plan.must_equal(begun, staging.folder)
        with BatchProgressBar(console) as bar:
            counts = score_units(plan, staging, work.units, request.version, ProgressReporter(system_clock, bar.tell))
        record = BatchRecord(
            plan=plan,
            source=request.options.source,
            scorer=work.scorers[0].model.choice,
            counts=counts,
            quantiles=quantiles(work.spark, counts.sketches),
        )
        tracker = MlflowTracker(settings.model.tracking_uri, settings.model.registry_uri)
        # Recorded first: published files that no run in MLflow names could not be traced.
        run_id = record.log(tracker, settings.batch.experiment, staging)
        publish(staging, targets, len(plan.units), record.report(run_id))
        staging.remove()
    finally:
        staging.close()
    show_summary(console, record, request.paths, run_id)


def try_out(work: Work, console: Console) -> None:
    """Print what would be done, and score a sample; nothing is written."""
    folder = folder_of(work.request.paths.targets.scored, work.plan.batch)
    begun = len(list(folder.glob("unit-*"))) if folder.exists() else None
    samples = (scorer.sample(work.plan.units[0], SAMPLE_ROWS) for scorer in work.scorers)
    rows = [row for sample in samples for row in sample.select(F.col(c.VERDICT)).collect()]
    show_sample(console, work.plan, work.request.paths, begun, rows)
    show_differences(console, work.scorers[0].source.table.differences)
