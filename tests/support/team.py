"""Somebody who trains versions of one model, registers them at a real MLflow server and moves the alias."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from mlflow import MlflowClient
from pyspark.sql import SparkSession

from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.golden import GoldenRow, GoldenRows
from tests.support.models import SIGNATURE, fit_pipeline

Change = Callable[[Path], object]

FAR = {"carrier": "UA", "distance": 90.0, "gust": None}


def save_pipeline(spark: SparkSession, tree: Path, slope: float = 1.0) -> Path:
    """Save a fitted pipeline to ``tree`` as MLflow does, with a golden row; ``slope`` -1 turns its predictions around.

    With slope 1 a distance above 50 is late. The second time it is a copy of the first tree.
    """
    return Path(shutil.copytree(_saved(spark, slope), tree))


_FOLDER = TemporaryDirectory(prefix="penstock-saved-")


@cache
def _saved(spark: SparkSession, slope: float) -> Path:
    tree = Path(_FOLDER.name) / str(slope)
    with MlflowTracker(f"sqlite:///{tree.parent}/unused.db").run("saved", "saved") as run:
        run.save(fit_pipeline(spark, slope=slope), SIGNATURE, tree)
    (tree / "penstock").mkdir()
    write_golden(tree, float(slope > 0))
    return tree


def write_golden(tree: Path, expected: float) -> None:
    """Say that the far flight gives ``expected``."""
    (tree / "penstock" / "golden.json").write_text(GoldenRows((GoldenRow(FAR, expected),)).to_json())


@dataclass
class Team:
    """One team with a model of its own; ``saved`` is what it registers unless told otherwise."""

    uri: str
    saved: Path
    scratch: Path
    model: str = field(default_factory=lambda: f"flights-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        """Connect."""
        self.client = MlflowClient(self.uri, self.uri)

    def publish(self, change: Change | None = None, *, tag: bool = True, champion: bool = True) -> int:
        """Register the saved pipeline, changed; the digest is that of the changed files."""
        tree = self.scratch / uuid4().hex
        shutil.copytree(self.saved, tree)
        if change:
            change(tree)
        with MlflowTracker(self.uri).run("penstock-tests", self.model) as run:
            version = run.register(tree, self.model, {DIGEST_TAG: tree_digest(tree)} if tag else {})
        if champion:
            self.point(version.version)
        return version.version

    def point(self, version: int) -> None:
        """Move the alias ``champion``."""
        self.client.set_registered_model_alias(self.model, "champion", str(version))
