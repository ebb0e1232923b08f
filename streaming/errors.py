"""Every error Penstock raises on purpose, in one tree.

::

    PenstockError                     exit 1
    ├── ConfigurationError            exit 2   the settings, the machine or the arguments are wrong
    │   └── SetupError                exit 2   Java, a jar, a port or the disk is missing
    ├── DataError                     exit 3   the stream cannot be continued without losing or doubling records
    │   ├── OffsetGapError                     the committed mark and the batch do not meet
    │   ├── MissingMarkError                   no committed mark where one must be
    │   ├── TopicRecreatedError                the mark belongs to an earlier topic of the same name
    │   └── InvariantError                     rows in differ from predictions plus dead letters
    ├── UpstreamError                 exit 4   a service cannot be reached and nothing is left to serve
    │   ├── BrokerUnavailableError
    │   │   └── TopicDeletedError              a topic that the job writes to is gone
    │   ├── LookupUnavailableError             the table of looked-up columns cannot be read
    │   └── RegistryUnavailableError
    │       └── FilesMissingError              the registry answers, and some of a version's files do not arrive
    ├── FencedError                   exit 5   another driver of the same application has taken over
    └── ModelError                    exit 1
        ├── ModelNotFoundError                 the selector names no version
        ├── CandidateRefusedError              a version was checked and may not serve
        ├── StageNotCompiledError              a stage cannot be evaluated without Spark
        │   └── StageUnreadableError               its files are damaged, or laid out in an unknown way
        └── ScoringError                       a version failed on a batch that it should have scored
            ├── TooManyThrowingRowsError       it throws on more rows of a batch than is allowed
            └── TooSlowError                   it takes longer for a batch than is allowed

A message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from streaming.redaction import redact
from streaming.refusal_codes import RefusalCode


class PenstockError(Exception):
    """The root of the tree. ``exit_code`` is what the command line ends with."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message without secrets: what a service or a library said of a failure may repeat them."""
        return redact(super().__str__())


class ConfigurationError(PenstockError):
    """The settings, the machine or the arguments are wrong; nothing was started."""

    exit_code = 2


class SetupError(ConfigurationError):
    """Something that must be on the machine is not: Java, a jar, a free port, disk space."""


class DataError(PenstockError):
    """Going on would lose or double a record, so the job stops instead."""

    exit_code = 3


class OffsetGapError(DataError):
    """The batch starts above the committed mark: the offsets in between would never be scored."""


class MissingMarkError(DataError):
    """A partition has no committed mark although this is not a declared first run."""


class TopicRecreatedError(DataError):
    """The committed mark was made on a topic that has since been deleted and created again."""


class InvariantError(DataError):
    """A partition's rows in are not its predictions plus its dead letters."""


class UpstreamError(PenstockError):
    """A service cannot be reached and there is nothing left to serve with."""

    exit_code = 4


class BrokerUnavailableError(UpstreamError):
    """Kafka did not answer within the stated time."""


class TopicDeletedError(BrokerUnavailableError):
    """A topic that the job writes to was deleted while it runs; created again, it is written to as before."""


class LookupUnavailableError(UpstreamError):
    """The table of looked-up columns cannot be read as far as it must be."""


class RegistryUnavailableError(UpstreamError):
    """The model registry did not answer within the stated time."""


class FilesMissingError(RegistryUnavailableError):
    """Some of a version's files did not arrive, although nothing failed: its artifact store does not have them."""


class FencedError(PenstockError):
    """A younger driver of the same application holds the lease; this one must not write any more."""

    exit_code = 5


class ModelError(PenstockError):
    """Something about a model version."""


class ModelNotFoundError(ModelError):
    """The selector (alias, stage, tag, pinned version) names no version."""


class CandidateRefusedError(ModelError):
    """A candidate failed one of its checks; the serving version stays.

    ``reason`` is the code for machines, ``detail`` a sentence for people.
    """

    def __init__(self, reason: RefusalCode, detail: str) -> None:
        super().__init__(f"{reason.name}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[CandidateRefusedError], tuple[RefusalCode, str]]:
        return (type(self), (self.reason, self.detail))


class StageNotCompiledError(ModelError):
    """A saved pipeline has a stage that cannot be evaluated without Spark, so Spark has to score this version.

    ``stage`` is the stage's uid or folder, ``kind`` the class that its files name (empty if they do not say), and
    ``detail`` what is in the way.
    """

    def __init__(self, stage: str, kind: str, detail: str) -> None:
        named = f"{stage} ({kind})" if kind else stage
        super().__init__(f"the stage {named} cannot be scored without Spark: {detail}; score this version by Spark")
        self.stage = stage
        self.kind = kind
        self.detail = detail

    def __reduce__(self) -> tuple[type[StageNotCompiledError], tuple[str, str, str]]:
        return (type(self), (self.stage, self.kind, self.detail))


class StageUnreadableError(StageNotCompiledError):
    """The files of a stage are damaged, or laid out in a way that this release does not know."""


class ExportRefusedError(ModelError):
    """A version has no ONNX form, or a form of it that answers otherwise; nothing was written."""


class ScoringError(ModelError):
    """A version failed on a batch in a way that a few rows that it throws on cannot explain."""


class TooManyThrowingRowsError(ScoringError):
    """A version throws on more rows of one batch than ``engine.max_poison_rows``; trying again finds the same rows."""


class TooSlowError(ScoringError):
    """A batch took longer than ``fallback.batch_seconds`` and was given up; another version may take it."""
