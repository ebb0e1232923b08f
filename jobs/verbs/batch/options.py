"""The options of ``penstock batch``, and the paths on this machine that they mean. Nothing is started here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from jobs.configuration.paths import require_writable
from jobs.wiring.selecting import selector_of
from streaming.batch import files
from streaming.batch.encodings import text_encoding
from streaming.batch.files import Format, Listing
from streaming.batch.inputs import check_files
from streaming.batch.publish import BatchTargets
from streaming.batch.staging import unfinished
from streaming.batch.text import UTF_8
from streaming.clock import Clock
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelSelector
from streaming.settings import Settings


@dataclass(frozen=True)
class BatchOptions:
    """The options of the command line; see ``jobs/command/batch.py``."""

    source: str
    target: str
    rejected: str | None = None
    format: str | None = None
    encoding: str = UTF_8
    out_format: str | None = None
    model_version: int | None = None
    alias: str | None = None
    partition_by: tuple[str, ...] = ()
    name: str | None = None
    overwrite: bool = False
    rollout: bool = False

    def selector(self, settings: Settings) -> ModelSelector:
        """Return the selector of the version: that of the options, else that of the settings.

        Raises:
            ConfigurationError: two were asked for, or one beside the versions of a rollout.
        """
        if self.rollout and (self.model_version is not None or self.alias is not None):
            raise ConfigurationError("--rollout names both versions; leave --model-version and --alias out")
        return selector_of(settings.model, self.model_version, self.alias)


@dataclass(frozen=True)
class Paths:
    """The paths that the options mean. ``batch`` is the id of the batch that is begun or continued."""

    listing: Listing
    format: Format
    encoding: str
    out_format: Format
    targets: BatchTargets
    batch: str

    def options(self, options: BatchOptions, settings: Settings) -> dict[str, Any]:
        """Return the options that decide what comes out, as the plan keeps them."""
        batch = settings.batch
        return {
            "--format": self.format,
            "--encoding": self.encoding,
            "--out-format": self.out_format,
            "--partition-by": list(options.partition_by),
            "batch.keep": batch.keep if batch.keep == "all" else list(batch.keep),
            "batch.risk": batch.risk,
            "event": settings.event.model_dump(mode="json"),
        }


def resolve(options: BatchOptions, clock: Clock) -> Paths:
    """Return the paths that the options mean.

    Raises:
        ConfigurationError: there is no input, a target is not free, or it is not clear which batch is meant.
    """
    source, scored = files.local("--in", options.source), files.local("--out", options.target)
    rejected = files.local("--rejected", options.rejected) if options.rejected else _beside(scored)
    # Its Parquet files include rows that the table has deleted.
    if options.format is None and files.is_delta(source):
        raise ConfigurationError(
            f"--in {source} is a Delta table, which a batch does not read; write its current version to Parquet first"
        )
    listing = files.list_files(source)
    kind = files.named_format("--format", options.format) if options.format else files.format_of(listing.paths)
    encoding = text_encoding(options.encoding, kind)
    check_files(listing.paths, kind)
    out = files.named_format("--out-format", options.out_format) if options.out_format else files.suffix_format(scored)
    targets = BatchTargets(scored, rejected, options.overwrite)
    targets.check_apart(source, listing.paths)
    batch = _batch(options, scored, clock)
    targets.check_free(batch)
    require_writable(scored, "--out")
    require_writable(rejected, "--rejected")
    return Paths(
        listing=listing, format=kind, encoding=encoding, out_format=out or "parquet", targets=targets, batch=batch
    )


def _beside(scored: Path) -> Path:
    """Return where rejected rows go: ``scored.parquet`` to ``scored.rejected.parquet``."""
    return scored.with_name(f"{scored.stem}.rejected{scored.suffix}")


def _batch(options: BatchOptions, scored: Path, clock: Clock) -> str:
    """Return the id: that of --name, else that of the unfinished batch, else a new one."""
    if options.name is not None:
        if not options.name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise ConfigurationError(
                f"--name {options.name!r} may have letters, digits, points, dashes and underscores"
            )
        return options.name
    # The same command continues a killed run, without having to name the batch.
    begun = unfinished(scored)
    if len(begun) > 1:
        raise ConfigurationError(
            f"several batches for {scored} are not finished; say which with --name: {', '.join(begun)}"
        )
    return begun[0] if begun else f"{clock():%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"
