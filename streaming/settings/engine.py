"""The section ``engine``: how the stream runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import Positive, Seconds, Section


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
    """The longest time from a request to stop to the end of the process, which then ends as it is, with exit code 1."""
    failpoints: str | None = None
    """For the chaos suite alone: a folder whose files make the job's processes die at given steps."""

    @model_validator(mode="after")
    def _gives_what_is_asked(self) -> EngineSettings:
        delivery = "exactly-once" if self.kind == "exact" else "at-least-once"
        if self.delivery == "exactly-once" and self.kind == "live":
            raise ValueError(
                "engine.kind live delivers at least once: Spark's real-time mode writes before a batch is committed, so"
                " a crash repeats records. Set engine.kind to exact for exactly-once, or engine.delivery to"
                " at-least-once and let subscribers drop repeated records by their source offset"
            )
        if self.delivery not in (None, delivery):
            raise ValueError("engine.kind exact delivers exactly once; leave engine.delivery out, or set kind to live")
        return self
