"""``penstock drift baseline``: a reference profile for a version that was trained elsewhere.

A version's files never change, or nobody could say what served. So the profile comes with a new version: the old one's
files and the profile beside them, which a promotion then puts in the old one's place.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_writable
from jobs.process.logs import configure_logging
from jobs.terminal.progress import steps
from jobs.verbs.drift.options import BaselineOptions
from jobs.wiring.following import preparation, registry
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import require_log, session
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.batch import files
from streaming.batch.encodings import text_encoding
from streaming.batch.inputs import check_files
from streaming.batch.needs import Needs
from streaming.batch.scorer import decoder_for
from streaming.batch.source import BatchSource
from streaming.engines.known_good import KnownGoodRows
from streaming.errors import ConfigurationError
from streaming.events import columns as c
from streaming.models import profile
from streaming.models.digest import DIGEST_TAG, REGISTRY_FILE, tree_digest
from streaming.models.profile import ReferenceProfile
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.topic_schema import NoEvents
from streaming.settings import Settings
from streaming.training.profile import Timing, build_profile
from streaming.training.record import Promotion

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SPARK_LOG = Path(".penstock/baseline-spark.log")
BASELINE_OF = "penstock.baseline_of"
"""The tag of the new version: the number of the one whose files it has."""
_MOST_CLASSES = 50
_FEWEST_ROWS = 100


def baseline(config: Path | None, overrides: Sequence[str], options: BaselineOptions) -> ModelVersion:
    """Make the profile, register a version with it, and return that version.

    Raises:
        ConfigurationError: the settings, the rows or the version do not fit.
        CandidateRefusedError: the version cannot be loaded.
        RegistryUnavailableError: the registry does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    prepare_mlflow()
    require_log(SPARK_LOG)
    require_writable(settings.model.cache_dir, "model.cache_dir")
    listing = files.list_files(files.local("--in", options.source))
    kind = files.named_format("--format", options.format) if options.format else files.format_of(listing.paths)
    encoding = text_encoding(options.encoding, kind)
    # Checked before Spark starts, which takes seconds.
    check_files(listing.paths, kind)
    model = settings.model
    selector = ModelSelector(model.name, "version", str(options.version)) if options.version else None
    version = registry(model).resolve(selector or ModelSelector.from_settings(model))
    with steps(Console()) as step, session(settings, "penstock-baseline", SPARK_LOG) as spark:
        step(f"loading {version}")
        checks = preparation(settings, spark, NoEvents())
        served = checks.prepare(version, registry(model).download)
        try:
            step("scoring the rows")
            needs = Needs.of(served.package.signature, settings.event)
            made = _profile(settings, served, BatchSource.of(spark, kind, listing, needs, encoding), listing)
            step("registering it")
            return _register(settings, served, made, options)
        finally:
            checks.release(served)


def _profile(settings: Settings, served: ServedModel, source: BatchSource, listing: files.Listing) -> ReferenceProfile:
    read = source.read([str(path) for path in listing.paths])
    model = KnownGoodRows()(served, lambda: decoder_for(source, settings.event, served)(read))
    decoded = decoder_for(source, settings.event, model)(read)
    scored = model.scorer.score(decoded).where(F.col(c.VERDICT).isNull()).cache()
    try:
        rows = scored.count()
        if rows < _FEWEST_ROWS:
            raise ConfigurationError(
                f"{rows} of the rows can be scored, and a reference needs at least {_FEWEST_ROWS}; give more"
            )
        return _built(settings, served, scored)
    finally:
        scored.unpersist()


def _built(settings: Settings, served: ServedModel, scored: DataFrame) -> ReferenceProfile:
    named = scored.withColumnsRenamed({c.PREDICTION: "prediction", c.CONFIDENCE: "confidence"})
    timed = named.withColumn(c.EVENT_TIME, F.col(c.EVENT_TIME).cast("timestamp"))
    has_times = timed.where(F.col(c.EVENT_TIME).isNotNull()).limit(1).count() > 0
    timing = Timing(c.EVENT_TIME, settings.drift.window_seconds) if has_times else None
    signature = served.package.signature
    lists = [column.name for column in signature.columns if column.is_list]
    if lists:
        _log.warning("a list of numbers is in no bin, so drift leaves these columns out", columns=lists)
    return build_profile(timed, signature.single, _classes(timed), timing)


def _classes(scored: DataFrame) -> int | None:
    """Return the number of classes if the predictions look like class numbers, else None."""
    values = [row[0] for row in scored.select("prediction").distinct().limit(_MOST_CLASSES + 1).collect()]
    # The predictions decide: a pipeline that was trained elsewhere need not say whether it classifies.
    whole = all(value >= 0 and float(value).is_integer() for value in values)
    return int(max(values)) + 1 if whole and len(values) <= _MOST_CLASSES and max(values) < _MOST_CLASSES else None


def _register(
    settings: Settings, served: ServedModel, made: ReferenceProfile, options: BaselineOptions
) -> ModelVersion:
    tracker = MlflowTracker(settings.model.tracking_uri, settings.model.registry_uri)
    old = served.version
    with TemporaryDirectory(prefix="penstock-baseline-") as folder:
        tree = Path(folder) / "model"
        shutil.copytree(served.package.root, tree, ignore=shutil.ignore_patterns(REGISTRY_FILE))
        (tree / profile.PATH).parent.mkdir(exist_ok=True)
        (tree / profile.PATH).write_text(made.to_json(), "utf-8")
        tags = {**old.tags, DIGEST_TAG: tree_digest(tree), BASELINE_OF: str(old.version)}
        with tracker.run(settings.train.experiment, f"{old.name}-baseline") as run:
            run.log({"data": options.source, "rows": made.rows}, {}, {BASELINE_OF: str(old.version)})
            version = run.register(tree, old.name, tags)
    if options.alias:
        tracker.promote(version, Promotion(options.alias))
    return version
