"""Why a model version may not serve, as stable codes: in errors, on ``model-events``, in metrics and in the docs."""

from __future__ import annotations

from enum import Enum, unique

_FINAL, _RETRIED = False, True


@unique
class RefusalCode(Enum):
    """What a check of a candidate may answer; a member's name is the code for machines.

    ``meaning`` is the phrase that docs/following-the-registry.md lists. ``retried`` says whether the cause can pass
    without the version changing (space is freed, the topic gets its columns), so that the candidate is tried again.
    """

    CACHE_DAMAGED = "cached files changed and are in use elsewhere", _RETRIED
    CACHE_FULL = "no space in `model.cache_dir`, or `model.cache_max_bytes` reached", _RETRIED
    CORRUPT_FILES = "Spark, or the model's library, cannot read its files", _FINAL
    DIGEST_MISMATCH = "the files are not those that were registered", _RETRIED
    DOWNLOAD_FAILED = "the files did not arrive, or not all of them", _RETRIED
    ENVELOPE_CLASH = "the model reads an envelope field as another type", _FINAL
    FLAVOR_UNSUPPORTED = "logged in no flavor that is served", _FINAL
    GOLDEN_ROW_FAILED = "known events give another output here", _FINAL
    HELD = "on hold after a rollback, or by an operator", _FINAL
    LIBRARY_MISSING = "the flavor's library is not installed where the job runs", _RETRIED
    LOAD_FAILED = "an unexpected error, in the log with its stack trace", _RETRIED
    MALFORMED = "`MLmodel`, golden rows, profile or model file cannot be read", _FINAL
    MISSING_SIGNATURE = "neither signature nor `model.features`", _FINAL
    NEEDS_CODE = "logged with `code_paths`, or as a Python object", _FINAL
    NOT_COMPILED = (
        (
            "under `model.scorer: compiled`, `models.route` or `penstock serve`, a stage does not compile, or answers"
            " are not Spark's"
        ),
        _FINAL,
    )
    NOT_LIVE = (
        (
            "under `engine.kind: live`, the model is not a pipeline of Spark ML, no event is known on which the"
            " pipeline does not throw, or the plan has an operator that runs Python or that Spark's real-time mode has"
            " not, or cannot be made over a stream"
        ),
        _FINAL,
    )
    NO_PREDICTION = "no stage gives a prediction, or an output is none", _FINAL
    REGISTRATION_FAILED = "MLflow failed to register the version", _FINAL
    SIGNATURE_MISMATCH = "most recent events lack a column or have another type", _RETRIED
    SIGNATURE_UNSUPPORTED = (
        "a column has no name, a type that an event cannot carry, or is not what the model reads",
        _FINAL,
    )
    SPARK_TOO_NEW = "saved by a newer major Spark", _FINAL
    STAGE_NOT_ALLOWED = "a stage that is not Spark's own", _FINAL
    STAGING_FAILED = "`model.staging_uri` cannot be written", _RETRIED
    TOPIC_UNREADABLE = "the broker did not give a sample of events", _RETRIED
    TRIAL_FAILED = "the model throws on its golden rows, or on its input example or recent events", _FINAL
    UNSAFE_PLAN = "the pipeline shuffles, drops or adds rows", _FINAL
    WRONG_FILES = "the registry sent another version's files", _FINAL

    def __init__(self, meaning: str, retried: bool) -> None:
        self.meaning = meaning
        self.retried = retried
