"""The section ``model``: which version serves, and how it is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import Positive, Seconds, Section

ScorerSetting = Literal["auto", "compiled", "spark", "pyfunc"]


class ArmSettings(Section):
    """A further version that has a fixed share of the keys."""

    version: Positive
    share: Annotated[float, Field(gt=0, lt=1)]
    salt: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]
    """The salt of the hash that assigns keys. Another salt gives the version other keys."""


class ModelSettings(Section):
    """Which registered model serves, and how its versions are followed, kept and checked."""

    name: str = "penstock-demo"
    alias: str | None = None
    stage: str | None = None
    tag: str | None = None
    """``key=value``: the highest version that carries the tag."""
    version: Positive | None = None
    poll_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 5.0
    """The timeout of one call to the registry. A call is not retried; the next poll is the retry."""
    staging_uri: str | None = None
    """Where executors read a staged pipeline (``hdfs://``, ``s3a://``, ``file:/shared``). Local masters need none."""
    cache_dir: Path = Path(".penstock/models")
    cache_keep: Positive = 3
    cache_max_bytes: Positive = 4 * 1024**3
    features: dict[str, str] | None = None
    """Column to type, for a model without a signature: ``{carrier: string, distance: double}``. A ``?`` after the
    type makes the column optional."""
    extra_stages: tuple[str, ...] = ()
    """Classes of JVM pipeline stages to trust beyond Spark's own."""
    tracking_uri: str | None = None
    registry_uri: str | None = None
    rollback_after_failures: Positive = 3
    """Failures of one batch with one version before the last good version takes the batch."""
    scorer: ScorerSetting = "auto"
    """Exact: ``compiled`` evaluates the pipeline without Spark, several times as fast; ``auto`` does so where its
    answers are Spark's on the version's own, the topic's and made-up events, and else scores by Spark. Versions of
    other flavors than Spark's are scored by their own library; for them it says who decodes, Spark or one pass.
    ``pyfunc`` scores every version by its own code, which ``allow_code`` must allow."""
    allow_code: bool = False
    """Run a version's own code, such as a pickle or a custom ``python_function``, where nothing else can score it, in a
    process of its own that may die. Whoever may write to the registry then runs code with the job's rights."""
    code_seconds: Seconds = 30.0
    """The longest that such code may take for a batch; then its process is ended, and the events are dead letters."""
    recheck_one_in: Positive | None = None
    """Exact: one event in so many is scored once more beside the stream, compiled and by Spark, and a difference is in
    the log, the metrics and at ``/readyz``."""
    arm: ArmSettings | None = None
    """To try out: another version answers a share of the keys beside the selected one. Nothing judges it."""

    @model_validator(mode="after")
    def _one_selector(self) -> ModelSettings:
        chosen = [n for n in ("alias", "stage", "tag", "version") if getattr(self, n) is not None]
        if len(chosen) > 1:
            raise ValueError(f"model.{chosen[0]} and model.{chosen[1]} are both set; keep one of them")
        if self.tag is not None and "=" not in self.tag:
            raise ValueError("model.tag must read key=value")
        return self

    @model_validator(mode="after")
    def _code_is_allowed(self) -> ModelSettings:
        if self.scorer == "pyfunc" and not self.allow_code:
            raise ValueError("model.scorer is pyfunc, which runs a version's own code; set model.allow_code to true")
        return self
