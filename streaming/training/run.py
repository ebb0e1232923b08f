"""One training run from data to a registered version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.errors import RegistryUnavailableError
from streaming.models import golden, profile
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.ref import ModelVersion
from streaming.settings import TrainSettings
from streaming.training.dataset import TIME, Dataset, Fingerprint, PastColumns, fingerprint, load_dataset
from streaming.training.evaluate import evaluate
from streaming.training.golden import golden_rows
from streaming.training.pipeline import classifier_parameters, fitted
from streaming.training.profile import Timing, build_profile, with_confidence
from streaming.training.record import Promotion, Tracker, TrainedVersion, TrainingRun
from streaming.training.split import Split, time_split


@dataclass(frozen=True)
class Trainer:
    """Trains and registers models named ``name``.

    ``tags`` are added to every run; ``progress`` is called with a few words for each step.
    """

    spark: SparkSession
    tracker: Tracker
    name: str
    tags: Mapping[str, str]
    progress: Callable[[str], None]
    past: PastColumns | None = None
    """Gives the columns that are looked up and not in the data."""

    def train(self, settings: TrainSettings, promotion: Promotion, window_seconds: int = 3600) -> TrainedVersion:
        """Fit on the earlier part of the data, judge on the later part, record, register and promote.

        Windows of ``window_seconds`` are counted apart in the reference profile: as long as drift's will be.

        Raises:
            ConfigurationError: the data does not fit the settings.
            RegistryUnavailableError: the tracking server failed.
        """
        self.progress("reading the data")
        dataset = load_dataset(self.spark, settings, self.past)
        # The rows are read several times: for the fingerprint, the split, the fit and the profile.
        dataset.frame.cache()
        try:
            return self._train(dataset, settings, promotion, window_seconds)
        finally:
            dataset.frame.unpersist()

    def _train(
        self, dataset: Dataset, settings: TrainSettings, promotion: Promotion, window_seconds: int
    ) -> TrainedVersion:
        content = fingerprint(dataset)
        split = time_split(dataset.frame, settings.validation_fraction)
        tags = {**self.tags, **content.tags(), "penstock.features": json.dumps(dataset.signature.names)}
        with self.tracker.run(settings.experiment, f"{self.name}-{settings.algorithm}") as run:
            self.progress(f"fitting {settings.algorithm.replace('_', ' ')} on {content.rows:,} rows")
            model = fitted(dataset, settings, split.train)
            with TemporaryDirectory(prefix="penstock-train-") as folder:
                tree = Path(folder) / "model"
                # The saved model is judged and not the fitted one: that is what will serve.
                saved = PipelineModel.load(run.save(model, dataset.signature, tree).as_uri())
                metrics = self._describe(saved, dataset, split, tree, window_seconds)
                run.log(_params(settings, dataset, split), metrics, tags)
                version = self._register(run, tree, content)
        # Last, outside the run: an alias must never point at a version that was not checked.
        self.tracker.promote(version, promotion)
        return TrainedVersion(
            version=version, metrics=metrics, tags=tags, digest=version.tags[DIGEST_TAG], cut=split.cut
        )

    def _describe(
        self, model: PipelineModel, dataset: Dataset, split: Split, tree: Path, window_seconds: int
    ) -> dict[str, float]:
        """Write golden rows and profile into ``tree``; return the metrics on the later range."""
        self.progress("judging it on the later time range")
        scored = with_confidence(model.transform(dataset.frame)).cache()
        later = F.unix_micros(TIME) >= F.lit(int(split.cut.timestamp() * 1e6))
        metrics = evaluate(scored.where(later), split.classes)
        self.progress("making the reference profile")
        reference = build_profile(scored, dataset.signature, split.classes, Timing(TIME, window_seconds, split.cut))
        scored.unpersist()
        expected = golden_rows(self.spark, model, split.validation, dataset.signature)
        for path, text in ((golden.PATH, expected.to_json()), (profile.PATH, reference.to_json())):
            (tree / path).parent.mkdir(exist_ok=True)
            (tree / path).write_text(text, "utf-8")
        return metrics

    def _register(self, run: TrainingRun, tree: Path, content: Fingerprint) -> ModelVersion:
        """Register the tree with its digest, then read it back: what the registry hands out must be what we saved."""
        self.progress("registering it")
        digest = tree_digest(tree)
        version = run.register(tree, self.name, {DIGEST_TAG: digest, **content.tags()})
        with TemporaryDirectory(prefix="penstock-check-") as folder:
            returned = tree_digest(self.tracker.download(version, Path(folder)))
        if returned != digest:
            raise RegistryUnavailableError(
                f"the registry handed out other files for {version} than were uploaded; check its artifact store."
                " The version was not promoted."
            )
        return version


def _params(settings: TrainSettings, dataset: Dataset, split: Split) -> dict[str, object]:
    return {
        "algorithm": settings.algorithm,
        **classifier_parameters(settings),
        "data": dataset.source,
        "validation_fraction": settings.validation_fraction,
        "validation_from": split.cut.isoformat(),
        "seed": settings.seed,
    }
