"""``penstock export``: a version from the registry as ONNX files that need nothing of Penstock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_writable
from jobs.process.logs import configure_logging
from jobs.terminal.progress import steps
from jobs.verbs.export.options import ExportOptions
from jobs.wiring.extras import require_extra
from jobs.wiring.following import registry
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.selecting import selector_of
from streaming.export.precisions import PRECISIONS
from streaming.models.cache import ModelCache
from streaming.models.package import SPARK_FLAVOR, ModelPackage
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelVersion
from streaming.settings import Settings

if TYPE_CHECKING:
    from streaming.export.exporting import Export


def export(config: Path | None, overrides: Sequence[str], options: ExportOptions) -> Export:
    """Export a version and return what was written.

    Raises:
        ConfigurationError: the settings or the options are wrong, or a library is missing.
        ModelError: there is no such version, or it has no ONNX form that answers as it should.
        RegistryUnavailableError: the registry does not answer.
    """
    require_extra("export", "onnx", "onnxruntime")
    from streaming.export.exporting import ExportOrder, write
    from streaming.export.exporting import export as export_package

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    options.check()
    require_writable(settings.model.cache_dir, "model.cache_dir")
    prepare_mlflow()
    order = ExportOrder(tuple(p for p in PRECISIONS if p in options.precisions), options.max_mismatch_share)
    # The result may go to standard output, as JSON.
    with steps(Console(stderr=True)) as step:
        step("asking the registry")
        version = registry(settings.model).resolve(selector_of(settings.model, options.model_version, options.alias))
        step(f"loading {version}")
        with _package(settings, version) as package:
            step("comparing the ONNX forms with the compiled form")
            made = export_package(package, order, time.perf_counter)
            write(made, options.out)
    return made


@contextmanager
def _package(settings: Settings, version: ModelVersion) -> Iterator[ModelPackage]:
    """Yield the version's files, verified and described."""
    model = settings.model
    cache = ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes)
    cached = cache.fetch(version, registry(model).download)
    try:
        yield PackageReader(model, installed("pyspark")).read(cached, [SPARK_FLAVOR])
    finally:
        cache.release(cached.root)
        cache.collect()
